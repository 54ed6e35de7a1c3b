"""An open object: what it is, and its bytes piece by piece.

Made by `objects.ObjectStorage.open`, read by whoever serves or copies a file. Each piece has a deadline
of its own, so a slow reader of ours is not cut off, but a dead storage is.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import msgspec
import obstore

from image2model.storage.failures import translated

CHUNK_BYTES = 1024 * 1024


class ObjectMeta(msgspec.Struct, frozen=True):
    """An object without its bytes. `size` in bytes; `etag` changes with the content."""

    key: str
    size: int
    etag: str | None
    modified: datetime


def meta_of(found: "obstore.ObjectMeta") -> ObjectMeta:
    """Our Struct of what obstore tells of an object."""
    return ObjectMeta(found["path"], found["size"], found["e_tag"], found["last_modified"])


class ObjectReader:
    """The bytes from `start` to `end` (exclusive) of one object, which `meta` describes whole."""

    def __init__(self, result: "obstore.GetResult", deadline_s: float) -> None:
        self.meta = meta_of(result.meta)
        self.start, self.end = result.range
        self._result = result
        self._deadline_s = deadline_s

    async def read(self) -> bytes:
        """All of it at once. Raises StorageError."""
        with translated(f"read {self.meta.key}"):
            async with asyncio.timeout(self._deadline_s):
                return (await self._result.bytes_async()).to_bytes()

    async def chunks(self, size: int = CHUNK_BYTES) -> AsyncIterator[bytes]:
        """Pieces of at least `size` bytes, the last one shorter. Raises StorageError."""
        if self.start == self.end:
            return
        stream = self._result.stream(min_chunk_size=size)
        while True:
            with translated(f"read {self.meta.key}"):
                try:
                    async with asyncio.timeout(self._deadline_s):
                        chunk = await anext(stream)
                except StopAsyncIteration:
                    return
            yield bytes(chunk)
