"""Whether the disk has room for what a generation brings: before it is bought, and when it is stored.

Who calls it: `submit`, at first and again right before the POST; the fetching of files, while they are
written. FAL keeps a result for minutes only: what is bought while the disk is full is lost.
"""

import asyncio
import time
from typing import Final

import structlog

from image2model.storage.errors import StorageError
from image2model.storage.objects import MIN_FREE_BYTES, ObjectStorage

_log = structlog.get_logger("worker.room")

_REMEMBERED_S: Final = 1.0
_SPARE: Final = 32 << 20
"""Bytes of the disk that results leave alone."""


class NoDiskSpace(Exception):
    """Nothing was sent: the disk of the storage is nearly full."""


class DiskSpace:
    """The answer is a second old at most, and nobody passes while it is being asked for."""

    def __init__(self, storage: ObjectStorage) -> None:
        self._storage = storage
        self._asking = asyncio.Lock()
        self._asked_at = -_REMEMBERED_S
        self._free: int | None = None

    async def check(self) -> None:
        """Raises NoRoom, StorageError."""
        async with self._asking:
            await self._ask()
            if not self._enough:
                raise NoDiskSpace

    async def check_result(self, size: int) -> None:
        """Whether so many bytes more of a result may be written. Raises StorageError.

        What is paid for may use what is kept free for it, but for what the store needs to write.
        """
        async with self._asking:
            await self._ask()
            if self._free is not None and self._free - size < _SPARE:
                raise StorageError(f"the disk is full: {self._free:,} bytes are free, {size:,} are needed")

    async def _ask(self) -> None:
        now = time.monotonic()
        if now - self._asked_at < _REMEMBERED_S:
            return
        self._free = await self._storage.free_bytes()
        self._asked_at = now
        if not self._enough:
            _log.warning("disk_nearly_full", free_bytes=self._free)

    @property
    def _enough(self) -> bool:
        return self._free is None or self._free >= MIN_FREE_BYTES
