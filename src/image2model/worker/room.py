"""Whether the disk has room for what a generation will bring, asked before it is bought.

Who calls it: `submit`, at first and again right before the POST. FAL keeps a result for minutes only: what is
bought while the disk is full is lost.
"""

import asyncio
import time
from typing import Final

import structlog

from image2model.storage.objects import LEAST_FREE, ObjectStorage

_log = structlog.get_logger("worker.room")

_REMEMBERED_S: Final = 1.0


class NoRoom(Exception):
    """Nothing was sent: the disk of the storage is nearly full."""


class DiskRoom:
    """The answer is a second old at most, and nobody passes while it is being asked for."""

    def __init__(self, storage: ObjectStorage) -> None:
        self._storage = storage
        self._asking = asyncio.Lock()
        self._asked_at = -_REMEMBERED_S
        self._free: int | None = None

    async def check(self) -> None:
        """Raises NoRoom, StorageError."""
        async with self._asking:
            now = time.monotonic()
            if now - self._asked_at >= _REMEMBERED_S:
                self._free = await self._storage.free_bytes()
                self._asked_at = now
                if not self._enough:
                    _log.warning("the disk is nearly full, nothing is sent to FAL", free_bytes=self._free)
            if not self._enough:
                raise NoRoom

    @property
    def _enough(self) -> bool:
        return self._free is None or self._free >= LEAST_FREE
