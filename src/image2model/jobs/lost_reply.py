"""The uploaded pictures of one batch while it is not yet a job: stored as they come, or taken away again.

Who calls it: `unsettled`, which deletes them where no job comes of them. A crash leaves objects of a job that
does not exist, which the cleanup finds; it never leaves a job without its pictures.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final, Protocol

import structlog
from redis.asyncio import Redis

from image2model.errors import NotFound
from image2model.jobs import records
from image2model.jobs.records import NewImage
from image2model.storage import layout
from image2model.storage.errors import StorageError
from image2model.storage.objects import ObjectStorage
from image2model.store.connection import StoreOutage
from image2model.telemetry.unexpected import report_unexpected


def new_id() -> str:
    """An id that nobody guesses: 128 random bits in hexadecimal."""
    return secrets.token_hex(16)


class Picture(Protocol):
    """An uploaded picture that is good: its place in the batch, and what it is."""

    @property
    def index(self) -> int: ...
    @property
    def filename(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


class Originals:
    """What has been stored for the job `job_id`."""

    def __init__(self, storage: ObjectStorage) -> None:
        self.job_id = new_id()
        self.storage = storage
        self._keys: dict[int, tuple[str, str]] = {}

    async def put(self, picture: Picture, data: bytes) -> None:
        """Store one picture. Raises DiskFull, StorageError."""
        image_id = new_id()
        key = layout.original(self.job_id, image_id, picture.format)
        self._keys[picture.index] = (image_id, key)
        await self.storage.put(key, data, content_type=f"image/{picture.format}", filename=picture.filename)

    def hand_over(self) -> list[str]:
        """The keys of what is stored; from now on they are the caller's affair."""
        keys = [key for _, key in self._keys.values()]
        self._keys.clear()
        return keys

    def image(self, picture: Picture, digest: str) -> NewImage:
        """The stored picture as the job's image; `digest` is what makes two runs the same."""
        image_id, key = self._keys[picture.index]
        return NewImage(
            image_id=image_id,
            filename=picture.filename,
            size=picture.size,
            sha256=picture.sha256,
            width=picture.width,
            height=picture.height,
            format=picture.format,
            source_key=key,
            digest=digest,
        )


_log = structlog.stdlib.get_logger(__name__)
_PAUSE_S: Final = 0.5
"""Short: until a batch that nobody will ask for is taken back, workers may begin to buy it."""
_DELETE_S: Final = 5.0
"""How long a refusal waits for the deletion of what was stored; it goes on in the background."""
_FINISH_S: Final = 1.5
"""How long a process that has no deadline of its own waits at its end."""


class LostReplies:
    """Those of one process. Belongs to one event loop.

    `deadline` (by the monotonic clock) is when the process must have ended; the server sets it.
    """

    def __init__(self, redis: Redis, storage: ObjectStorage) -> None:
        self.deadline: float | None = None
        self._redis = redis
        self._storage = storage
        self._open: set[asyncio.Future[None]] = set()
        self._tasks: dict[asyncio.Task[None], str] = {}

    @asynccontextmanager
    async def originals(self) -> AsyncIterator[Originals]:
        """A place for the pictures of a batch to come; they are deleted when the block fails."""
        place = Originals(self._storage)
        ended = asyncio.get_running_loop().create_future()
        self._open.add(ended)
        try:
            yield place
        except BaseException:
            if keys := place.hand_over():
                deletion = self._start(place.job_id, self._delete(place.job_id, keys))
                await asyncio.wait({deletion}, timeout=_DELETE_S)
            raise
        finally:
            self._open.discard(ended)
            ended.set_result(None)

    def settle(self, originals: Originals, *, keyed: bool) -> None:
        """After a creation without a reply: keep the pictures of a job that exists, delete all others.

        In the background, until the store answers. `keyed`: the client asks for it again by its idempotency
        key. Without one nobody would ever ask for it, so a job that did come to be is deleted before it
        costs anything.
        """
        keys = originals.hand_over()
        self._start(originals.job_id, self._settle(originals.job_id, keys, keyed=keyed))

    async def finish(self) -> None:
        """Wait until every batch is settled, at most to the deadline. What is left is for the cleanup."""
        until = monotonic() + _FINISH_S if self.deadline is None else self.deadline
        while (waiting := {*self._open, *self._tasks}) and (left := until - monotonic()) > 0:
            await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if waiting:
            _log.warning("batches_left_in_doubt", job_ids=sorted(self._tasks.values()), open=len(self._open))

    def _start(self, job_id: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)  # asyncio itself holds tasks only weakly
        self._tasks[task] = job_id
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        job_id = self._tasks.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("batch_in_doubt", job_id=job_id, exc_info=error)

    async def _delete(self, job_id: str, keys: list[str]) -> None:
        await _until_done(job_id, lambda: self._storage.delete(keys))

    async def _settle(self, job_id: str, keys: list[str], *, keyed: bool) -> None:
        await _until_done(job_id, lambda: self._decide(job_id, keys, keyed=keyed))

    async def _decide(self, job_id: str, keys: list[str], *, keyed: bool) -> None:
        made = await records.forbid(self._redis, job_id)
        if not made:
            await self._storage.delete(keys)
        elif not keyed:
            try:
                await records.cancel(self._redis, job_id, delete=True)
            except NotFound:
                _log.info("batch_deleted_already", job_id=job_id)
        _log.warning("batch_resolved", job_id=job_id, made=made, kept=made and keyed)


async def _until_done(job_id: str, step: Callable[[], Awaitable[None]]) -> None:
    """Try again for as long as the store or the storage is away."""
    tries = 0
    while True:
        try:
            return await step()
        except (StoreOutage, StorageError) as error:
            if tries == 0:
                _log.warning("batch_resolved_later", job_id=job_id, reason=str(error))
            tries += 1
        except Exception as error:  # noqa: BLE001 - told; the cleanup takes pictures that belong to no job
            report_unexpected("batch_settlement", error, job_id=job_id)
            return None
        await asyncio.sleep(_PAUSE_S)
