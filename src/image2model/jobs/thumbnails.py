"""Thumbnails of uploaded pictures: kept in the storage, made from the original where one is missing.

Workers store those of larger pictures ahead of time. A request that finds none waits for one to be made; all
requests for the same picture share the work. What is decoded at once is bounded by its pixels.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.decoding.memory import DECODED_BYTES, ByteBudget, decoding_bytes
from image2model.decoding.pool import DecoderPool, is_isolated
from image2model.decoding.process import DecoderDied
from image2model.domain import PictureLimits
from image2model.errors import DiskFull, ImageFailure, NotFound
from image2model.media.preflight import THUMBNAIL_SIDE, thumbnail
from image2model.shielded import in_thread
from image2model.storage import layout
from image2model.storage.errors import ObjectMissing
from image2model.storage.objects import ObjectStorage
from image2model.store.connection import command
from image2model.store.keys import key

_log: Final = structlog.get_logger(__name__)
MEDIA_TYPE: Final = "image/webp"
_FIELDS: Final = ("job_id", "source_key", "sha256")


class SourcePicture(msgspec.Struct, frozen=True, kw_only=True):
    """One picture of a job as it was uploaded."""

    job_id: str
    image_id: str
    source_key: str
    sha256: str


async def source_of(redis: Redis, job_id: str, image_id: str) -> SourcePicture | None:
    """The picture; None where this job has no such image."""
    values = await command(redis, "HMGET", key("image", image_id), *_FIELDS)
    owner, source, sha256 = ("" if value is None else value.decode() for value in values)
    if owner != job_id:
        return None
    return SourcePicture(job_id=job_id, image_id=image_id, source_key=source, sha256=sha256)


class UploadedPicture(Protocol):
    """A picture of a job as it was uploaded, and its storage key."""

    @property
    def job_id(self) -> str: ...
    @property
    def image_id(self) -> str: ...
    @property
    def source_key(self) -> str: ...


class Thumbnails:
    """Belongs to one event loop; `aclose` it at the end. `threads` bounds what is decoded at once."""

    def __init__(self, storage: ObjectStorage, *, max_pixels: int, threads: int = 2) -> None:
        self._storage = storage
        self._max_pixels = max_pixels
        self._decoders = DecoderPool()
        self._memory = ByteBudget(DECODED_BYTES)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="thumbnail")
        self._slots = asyncio.Semaphore(2 * threads)
        self._making: dict[str, asyncio.Task[bytes]] = {}

    async def get(self, picture: UploadedPicture) -> bytes:
        """The WebP, from the storage or made now. Raises NotFound, StorageError."""
        try:
            return await self._storage.get(layout.thumbnail(picture.job_id, picture.image_id))
        except ObjectMissing:
            return await self.make(picture)

    async def make(self, picture: UploadedPicture) -> bytes:
        """Make and keep it. Raises NotFound where the picture is gone or cannot be shown, StorageError."""
        task = self._making.get(picture.image_id)
        if task is None:
            task = asyncio.create_task(self._make(picture))
            self._making[picture.image_id] = task
            task.add_done_callback(lambda _: self._made(picture.image_id, task))
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Stop what is under way, end the threads and the processes, and wait for the end of the latter."""
        for task in self._making.values():
            task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
        await self._decoders.aclose()

    def _made(self, image_id: str, task: "asyncio.Task[bytes]") -> None:
        del self._making[image_id]
        if not task.cancelled():
            task.exception()  # retrieved: the request that waited for it may be gone

    async def _make(self, picture: UploadedPicture) -> bytes:
        async with self._slots:
            data = await self._decoded(picture)
            await keep(self._storage, picture, data)
            return data

    async def _decoded(self, picture: UploadedPicture) -> bytes:
        try:
            original = await self._storage.get(picture.source_key)
            call = partial(thumbnail, original, size=THUMBNAIL_SIDE, max_pixels=self._max_pixels)
            limits = PictureLimits(max_width=2 * THUMBNAIL_SIDE, max_height=2 * THUMBNAIL_SIDE)
            async with self._memory.hold(await in_thread(decoding_bytes, original, limits)):
                if is_isolated(original):
                    return await self._decoders.run(call)
                return await asyncio.get_running_loop().run_in_executor(self._pool, call)
        except ObjectMissing as missing:
            raise NotFound("The uploaded picture is no longer there.") from missing
        except DecoderDied as died:
            _log.warning("thumbnail_not_made", image_id=picture.image_id, reason=str(died))
            raise NotFound("This picture has no thumbnail: its decoder has failed.") from died
        except ImageFailure as failure:
            raise NotFound(f"This picture has no thumbnail. {failure.message}") from failure


async def keep(storage: ObjectStorage, picture: UploadedPicture, data: bytes) -> None:
    """Store a thumbnail. A full disk is no error: it can be made again. Raises StorageError."""
    key = layout.thumbnail(picture.job_id, picture.image_id)
    with suppress(DiskFull):
        await storage.put(key, data, content_type=MEDIA_TYPE)
