"""How much memory, disk and time the generations of one worker process may take.

The number of images at work does not bound the memory: with a hundred slots, pictures of 15 MB took 2.7 GB.
So whatever keeps such bytes alive runs inside `decoding.memory.ByteBudget.hold`. Disk space is checked before
anything is bought: FAL keeps a result for minutes only, so what is bought while the disk is full is lost.
"""

import asyncio
import time
from typing import Final

import msgspec
import structlog

from image2model.storage.errors import StorageError
from image2model.storage.objects import MIN_FREE_BYTES, ObjectStorage

_log = structlog.get_logger(__name__)

_REMEMBERED_S: Final = 1.0
_SPARE: Final = 32 << 20
"""Bytes of the disk that results leave free: the store needs them to write."""


class FilePatience(msgspec.Struct, frozen=True):
    """How long and how often fetching is tried, in seconds and numbers of tries.

    `grace`: how long FAL must deny a result or a model before the denial is believed.
    `model`: how long a result or a model that cannot be reached is tried. FAL keeps a small result for an
    hour, one of 10 KB or more for minutes.
    `silence`: how long a file beside the model may bring no byte; `side`: how long it may take in all.
    `side_tries` bounds the tries of such a file, `cut_tries` those of a GLB that is shorter than it states.
    """

    grace: float
    model: float = 1800.0
    side: float = 3600.0
    silence: float = 30.0
    side_tries: int = 4
    cut_tries: int = 3
    longest_pause: float = 10.0


class NoDiskSpace(Exception):
    """Nothing was sent to FAL: the disk of the storage is nearly full."""


class DiskSpace:
    """The free space of the storage's disk, measured once a second at most. Callers wait while it is."""

    def __init__(self, storage: ObjectStorage) -> None:
        self._storage = storage
        self._measuring = asyncio.Lock()
        self._measured_at = -_REMEMBERED_S
        self._free: int | None = None

    async def check(self) -> None:
        """Whether a generation may be bought. Raises NoDiskSpace, StorageError."""
        async with self._measuring:
            await self._measure()
            if not self._enough:
                raise NoDiskSpace

    async def check_result(self, size: int) -> None:
        """Whether `size` more bytes of a result may be written. Raises StorageError.

        A paid result may use the space that is kept free for it, except for what the store needs to write.
        """
        async with self._measuring:
            await self._measure()
            if self._free is not None and self._free - size < _SPARE:
                raise StorageError(f"the disk is full: {self._free:,} bytes are free, {size:,} are needed")

    async def _measure(self) -> None:
        now = time.monotonic()
        if now - self._measured_at < _REMEMBERED_S:
            return
        self._free = await self._storage.free_bytes()
        self._measured_at = now
        if not self._enough:
            _log.warning("disk_nearly_full", free_bytes=self._free)

    @property
    def _enough(self) -> bool:
        return self._free is None or self._free >= MIN_FREE_BYTES
