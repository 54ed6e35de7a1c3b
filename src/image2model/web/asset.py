"""One file of the page, in memory: its bytes, its validator, its compressed form.

Who calls it: the asset tree. A file is read once, at the start.
"""

import asyncio
import gzip
import hashlib
from functools import cached_property
from pathlib import PurePosixPath
from typing import Final

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".txt": "text/plain; charset=utf-8",
}
_LEVEL: Final = 9


class Asset:
    """`path` is relative to the tree, with slashes."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.data = data
        self._compressing = asyncio.Lock()
        self._compressed: bytes | None = None

    @property
    def media_type(self) -> str:
        """By the ending; an unknown one is bytes."""
        return _TYPES.get(PurePosixPath(self.path).suffix, "application/octet-stream")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, shortened to 128 bits."""
        return hashlib.sha256(self.data).hexdigest()[:32]

    async def compressed(self) -> bytes:
        """The content by gzip, made when it is first asked for, in a thread."""
        async with self._compressing:
            if self._compressed is None:
                self._compressed = await asyncio.to_thread(gzip.compress, self.data, _LEVEL, mtime=0)
            return self._compressed
