"""One picture to upload: a file on disk, read while it is sent, or bytes in memory.

Who calls it: `AsyncClient.submit` and its callers.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, Self

import msgspec

from image2model.client.errors import ClientError
from image2model.threads import in_thread

_CHUNK: Final = 256 * 1024


class Picture(msgspec.Struct, frozen=True):
    """`name` is for display; the bytes come from `path`, or else are `data`. `size` in bytes."""

    name: str
    size: int
    path: Path | None = None
    data: bytes = b""

    @classmethod
    def from_path(cls, path: str | os.PathLike[str], name: str | None = None) -> Self:
        """A file on disk. Raises FileNotFoundError and the like."""
        path = Path(path)
        return cls(name=name or path.name, size=path.stat().st_size, path=path)

    @classmethod
    def from_bytes(cls, name: str, data: bytes) -> Self:
        """Bytes in memory."""
        return cls(name=name, size=len(data), data=data)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Exactly `size` bytes, piece by piece. Raises ClientError if the file has another length by now."""
        if self.path is None:
            yield self.data
            return
        sent = 0
        with await in_thread(self.path.open, "rb") as file:
            while chunk := await in_thread(file.read, _CHUNK):
                sent += len(chunk)
                if sent > self.size:
                    break
                yield chunk
        if sent != self.size:
            raise ClientError(f"{self.path} changed while it was being sent; submit it again")
