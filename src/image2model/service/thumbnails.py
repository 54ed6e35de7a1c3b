"""Thumbnails: made once for each picture, kept in the storage, made again where they are missing.

Who calls it: the worker, which has one from its preflight, and the API for whoever looks earlier or finds
none. Pictures are decoded in a small pool of threads, and one that many ask for at once is decoded once.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Protocol

from image2model.errors import DiskFull, ImageFailure, NotFound
from image2model.media.thumbnail import SIZE, thumbnail
from image2model.storage import layout
from image2model.storage.errors import ObjectMissing
from image2model.storage.objects import ObjectStorage

MEDIA_TYPE: Final = "image/webp"


class SourcePicture(Protocol):
    """A picture of a job as it was uploaded, and where it lies."""

    @property
    def job_id(self) -> str: ...
    @property
    def image_id(self) -> str: ...
    @property
    def source_key(self) -> str: ...


class Thumbnails:
    """Belongs to one event loop; `close` it at the end. `threads` bounds what is decoded at once."""

    def __init__(self, storage: ObjectStorage, *, max_pixels: int, threads: int = 2) -> None:
        self._storage = storage
        self._max_pixels = max_pixels
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="thumbnail")
        self._slots = asyncio.Semaphore(2 * threads)
        self._making: dict[str, asyncio.Task[bytes]] = {}

    async def get(self, picture: SourcePicture) -> bytes:
        """The WebP, from the storage or made now. Raises NotFound, StorageError."""
        try:
            return await self._storage.get(layout.thumbnail(picture.job_id, picture.image_id))
        except ObjectMissing:
            return await self.make(picture)

    async def make(self, picture: SourcePicture) -> bytes:
        """Make and keep it. Raises NotFound where the picture is gone or cannot be shown, StorageError."""
        task = self._making.get(picture.image_id)
        if task is None:
            task = asyncio.create_task(self._make(picture))
            self._making[picture.image_id] = task
            task.add_done_callback(lambda _: self._made(picture.image_id, task))
        return await asyncio.shield(task)

    def close(self) -> None:
        """Let the threads go."""
        for task in self._making.values():
            task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _made(self, image_id: str, task: "asyncio.Task[bytes]") -> None:
        del self._making[image_id]
        if not task.cancelled():
            task.exception()  # looked at: who asked may be gone

    async def _make(self, picture: SourcePicture) -> bytes:
        async with self._slots:
            data = await self._decoded(picture)
            await keep(self._storage, picture, data)
            return data

    async def _decoded(self, picture: SourcePicture) -> bytes:
        try:
            original = await self._storage.get(picture.source_key)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self._pool, lambda: thumbnail(original, size=SIZE, max_pixels=self._max_pixels)
            )
        except ObjectMissing as missing:
            raise NotFound("The uploaded picture is no longer there.") from missing
        except ImageFailure as failure:
            raise NotFound(f"This picture has no thumbnail. {failure.message}") from failure


async def keep(storage: ObjectStorage, picture: SourcePicture, data: bytes) -> None:
    """Store a thumbnail. On a full disk it is left out: it can be made again. Raises StorageError."""
    key = layout.thumbnail(picture.job_id, picture.image_id)
    with suppress(DiskFull):
        await storage.put(key, data, content_type=MEDIA_TYPE)
