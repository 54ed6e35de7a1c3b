"""What a run chooses for all its pictures: the service, the model, its parameters, and how pictures are
prepared. Models with the same options are the same, so the ledger remembers them.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import msgspec

from image2model.client.form import QuoteOptions


class Making(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many models are made of each picture, and what is done with the picture before.

    `remove_background` is the text of the form's field: `true`, or an endpoint.
    """

    variants: int | None = None
    remove_background: str | None = None
    crop: bool = False
    pad_square: bool = False
    confirm_prepared: bool = False


class Options(Making, frozen=True, omit_defaults=True):
    """And the model's parameters as given."""

    params: dict[str, object] = {}
    face_limit: int | None = None

    @property
    def text(self) -> str:
        """Equal for equal options."""
        return msgspec.json.encode(self, order="sorted").decode()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The inverse of `text`."""
        return msgspec.json.decode(text, type=cls)

    def fields(self, max_cost_usd: float | None) -> QuoteOptions:
        """The same as arguments of the client, with the limit of one upload."""
        return QuoteOptions(
            max_cost_usd=max_cost_usd,
            params=self.params,
            face_limit=self.face_limit,
            variants=self.variants,
            remove_background=self.remove_background or False,
            crop=self.crop,
            pad_square=self.pad_square,
            confirm_prepared=self.confirm_prepared,
        )


class SharedOptions(msgspec.Struct, frozen=True):
    """The options of a batch. `model` is "" for the default, `params` the text of `Options`."""

    server: str = ""
    model: str = ""
    params: str = "{}"

    @classmethod
    def of(
        cls,
        server: str,
        model: str | None,
        params: Mapping[str, object] | None,
        face_limit: int | None,
        making: Making | None = None,
    ) -> Self:
        """From a command's arguments."""
        made = msgspec.structs.asdict(making or Making())
        options = Options(params=dict(params or {}), face_limit=face_limit, **made)
        return cls(server, model or "", options.text)

    @classmethod
    def of_each(
        cls,
        server: str,
        models: Sequence[str],
        params: Mapping[str, object] | None,
        face_limit: int | None,
        making: Making,
    ) -> list[Self]:
        """One for each model, or for the service's default. `params` may hold an object for each model."""
        each = params if params and len(models) > 1 and {*params} <= {*models} else None
        return [
            cls.of(server, model, _object(each.get(model or "")) if each else params, face_limit, making)
            for model in models or (None,)
        ]

    @property
    def options(self) -> Options:
        """The parameters and the rest."""
        return Options.from_text(self.params)

    @property
    def variants(self) -> int | None:
        """How many models are made of each picture; None where nothing was said."""
        return self.options.variants


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
