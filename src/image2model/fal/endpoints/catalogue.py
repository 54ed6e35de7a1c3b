"""The endpoints on offer at one moment: an immutable snapshot of FAL's schemas, prices and our overlay.

Pure: no I/O, but for the built-in copy, which comes with the release.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Final, Literal

from image2model.errors import UnknownModel
from image2model.fal.endpoints.builtin import built_in_schemas
from image2model.fal.endpoints.endpoint import Endpoint, UnitPrice
from image2model.fal.endpoints.overlay import NO_ROW, OVERLAY, REMOVERS
from image2model.fal.endpoints.schema import EndpointSchema

DEFAULT_MODEL: Final = "tripo3d/tripo/v2.5/image-to-3d"
DEFAULT_REMOVER: Final = "fal-ai/bria/background/remove"
"""The endpoint that removes backgrounds where a caller names none."""
_MAX_NAME: Final = 128

Source = Literal["fal", "built-in"]


class Endpoints(Mapping[str, Endpoint]):
    """Endpoints by id, each joined with its overlay row and price when it is first asked for."""

    def __init__(self, schemas: Iterable[EndpointSchema], prices: Mapping[str, UnitPrice]) -> None:
        self._schemas = {schema.id: schema for schema in schemas}
        self._prices = prices
        self._joined: dict[str, Endpoint] = {}

    def __getitem__(self, model: str) -> Endpoint:
        endpoint = self._joined.get(model)
        if endpoint is None:
            row = OVERLAY.get(model, NO_ROW)
            endpoint = Endpoint(self._schemas[model], row, self._prices.get(model))
            self._joined[model] = endpoint
        return endpoint

    def __iter__(self) -> Iterator[str]:
        return iter(self._schemas)

    def __len__(self) -> int:
        return len(self._schemas)


class Catalogue:
    """One snapshot. `updated_at` is when FAL was read (ms since the epoch), `version` names the snapshot."""

    def __init__(
        self,
        schemas: Iterable[EndpointSchema],
        prices: Mapping[str, UnitPrice] | None = None,
        *,
        source: Source,
        updated_at: int | None = None,
        version: str = "",
    ) -> None:
        self.endpoints = Endpoints(schemas, prices or {})
        self.source = source
        self.updated_at = updated_at
        self.version = version

    @classmethod
    def of(
        cls,
        schemas: Iterable[EndpointSchema],
        prices: Mapping[str, UnitPrice],
        *,
        updated_at: int,
        version: str,
    ) -> "Catalogue":
        """What was read from FAL."""
        return cls(schemas, prices, source="fal", updated_at=updated_at, version=version)

    @classmethod
    def built_in(cls) -> "Catalogue":
        """The copy that comes with the release, for a service that FAL has not answered yet."""
        return _built_in()

    @property
    def removers(self) -> tuple[Endpoint, ...]:
        """The endpoints that remove backgrounds, also retired ones; the default first."""
        known = (self.endpoints[model] for model in REMOVERS if model in self.endpoints)
        return tuple(sorted(known, key=lambda one: one.id != DEFAULT_REMOVER))

    def find(self, model: str) -> Endpoint:
        """The endpoint of this id, also one that removes backgrounds. Raises UnknownModel, which names the
        nearest models.
        """
        try:
            return self.endpoints[model]
        except KeyError:
            models = [one for one in self.endpoints if one not in REMOVERS]
            near = difflib.get_close_matches(model[:_MAX_NAME], models, n=3, cutoff=0.4)
            advice = f"did you mean {' or '.join(near)}?" if near else "GET /api/v1/models lists what is."
            raise UnknownModel(f"{model[:_MAX_NAME]!r} is not on offer; {advice}") from None


@cache
def _built_in() -> Catalogue:
    return Catalogue(built_in_schemas(), source="built-in", version="built-in")
