"""The endpoints that this emulator has now: those of the table, and what was added, changed or unlisted
since.

Read by the submit and the platform routes, changed by the control routes. A generation keeps the row with
which it was accepted, so what runs finishes whatever happens to its endpoint.
"""

import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from fal_emulator.endpoints import ENDPOINTS, Endpoint, drawn
from fal_emulator.openapi import document
from fal_emulator.synthetic import synthetic

_MAX_SEED: Final = 1_000_000
_MAX_ENDPOINTS: Final = 10_000

_decode = msgspec.json.Decoder(dict[str, object]).decode


class RowError(Exception):
    """A row cannot be read; the message says why."""


def drawn_seed() -> int:
    """A seed for a start at which none is given."""
    return secrets.randbelow(_MAX_SEED)


class Catalogue:
    """Rows by id, with every enumeration settled by `seed`; `version` counts the changes."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = drawn_seed() if seed is None else seed
        self.version = 0
        self._rows: dict[str, Endpoint] = {}
        self._unlisted: dict[str, Endpoint] = {}
        self._documents: dict[str, msgspec.Raw] = {}
        self.reset()

    @property
    def known(self) -> Collection[str]:
        """The ids of all endpoints that there are."""
        return self._rows.keys()

    def rows(self) -> Iterable[Endpoint]:
        """All endpoints, in the order in which they came."""
        return self._rows.values()

    def find(self, endpoint_id: str) -> Endpoint | None:
        """The endpoint of this id; None where FAL has none."""
        return self._rows.get(endpoint_id)

    def openapi(self, endpoint: Endpoint) -> msgspec.Raw:
        """Its OpenAPI document as JSON, written once."""
        found = self._documents.get(endpoint.id)
        if found is None:
            found = msgspec.Raw(msgspec.json.encode(document(endpoint)))
            self._documents[endpoint.id] = found
        return found

    def put(self, row: Endpoint) -> Endpoint:
        """Add an endpoint, or replace the one of the same id. Raises RowError where there are too many."""
        if len(self._rows) >= _MAX_ENDPOINTS and row.id not in self._rows:
            raise RowError(f"there are {_MAX_ENDPOINTS} endpoints already")
        settled = drawn(row, self.seed)
        self._rows[row.id] = settled
        self._unlisted.pop(row.id, None)
        self._forget(row.id)
        return settled

    def unlist(self, endpoint_id: str) -> bool:
        """FAL has it no longer; whether there was one."""
        row = self._rows.pop(endpoint_id, None)
        if row is None:
            return False
        self._unlisted[endpoint_id] = row
        self._forget(endpoint_id)
        return True

    def relist(self, endpoint_id: str) -> Endpoint | None:
        """The row that was unlisted is back; None where there is none."""
        row = self._unlisted.pop(endpoint_id, None)
        return None if row is None else self.put(row)

    def patch(self, endpoint_id: str, changes: Mapping[str, object]) -> Endpoint:
        """Change a row by a JSON merge patch (RFC 7396). Raises RowError, and KeyError where there is
        none."""
        row = _decode(msgspec.json.encode(self._rows[endpoint_id]))
        return self.put(read_row(endpoint_id, _merged(row, changes)))

    def reset(self) -> None:
        """As at the start."""
        self._rows = {row.id: drawn(row, self.seed) for row in ENDPOINTS.values()}
        self._unlisted = {}
        self._documents = {}
        self.version += 1

    def add_many(self, count: int) -> list[str]:
        """So many varied endpoints that FAL does not have; their ids. Raises RowError."""
        return [self.put(synthetic(number, self.seed)).id for number in range(count)]

    def _forget(self, endpoint_id: str) -> None:
        self._documents.pop(endpoint_id, None)
        self.version += 1


_decode_row = msgspec.json.Decoder(Endpoint).decode


def read_row(endpoint_id: str, row: Mapping[str, object]) -> Endpoint:
    """A row out of JSON; the id and a title are added where they lack. Raises RowError."""
    given = {"title": endpoint_id, **row, "id": endpoint_id}
    try:
        found = _decode_row(msgspec.json.encode(given))
    except msgspec.ValidationError as error:
        raise RowError(str(error)) from error
    if not found.fields or not found.outputs:
        raise RowError("a row needs at least one field and one output")
    return found


def _merged(target: object, changes: object) -> dict[str, object]:
    base = dict(target) if isinstance(target, dict) else {}
    if isinstance(changes, Mapping):
        for name, value in changes.items():
            if value is None:
                base.pop(name, None)
            else:
                base[name] = _merged(base.get(name), value) if isinstance(value, Mapping) else value
    return base
