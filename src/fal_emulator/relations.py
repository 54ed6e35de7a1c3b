"""Which request made which bytes, so that the ledger shows how requests belong together.

Written and read by the studio. A chain goes through the caller's own storage, so a file is known again by
its bytes, not by its address.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from fal_emulator.disk import Disk

_KEPT: Final = 200_000


class InputFile(msgspec.Struct, frozen=True):
    """A file that a request was made of. `request_id`: the latest request whose output has the same bytes,
    null where none has."""

    field: str
    url: object
    sha256: str
    size: int
    request_id: str | None


class OutputFile(msgspec.Struct, frozen=True):
    """A file of a result."""

    name: str
    sha256: str
    size: int


class Origins:
    """The request that made a file, by the file's digest in hex. The oldest are forgotten beyond a bound."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def add(self, digest: str, request_id: str) -> None:
        """The request made it."""
        number = self._disk.run(
            "INSERT OR REPLACE INTO origin (digest, request_id) VALUES (?, ?)",
            bytes.fromhex(digest),
            request_id,
        )
        self._disk.run("DELETE FROM origin WHERE number <= ?", number - _KEPT)

    def find(self, digest: str) -> str | None:
        """The latest request that made it."""
        row = self._disk.row("SELECT request_id FROM origin WHERE digest = ?", bytes.fromhex(digest))
        return None if row is None else str(row[0])


def sha256(data: bytes | memoryview) -> str:
    """In hex."""
    return hashlib.sha256(data).hexdigest()


def mark_of(endpoint_id: str, parameters: Mapping[str, object], digests: list[str]) -> str:
    """What every file of a result carries: another one for another endpoint, parameter or input file."""
    said = msgspec.json.encode([endpoint_id, parameters, digests], order="sorted")
    return hashlib.sha256(said).hexdigest()
