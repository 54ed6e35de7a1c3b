"""The task `fetch_pictures`: all pictures of one object, from their addresses into our storage.

A picture is inspected as an uploaded one is. Whatever dies on the way, the next run fetches what is not
noted as stored; the images start only once all of it is. A file that a run has left behind is written again,
or goes with its job.
"""

import hashlib
import time
from collections.abc import Mapping
from typing import Final, Protocol

import structlog
from arq.worker import Retry
from redis.asyncio import Redis

from image2model.domain import ImageError, ImageStatus
from image2model.errors import DiskFull, FileProblem, StaleFence
from image2model.fetching import records
from image2model.fetching.known import known_fields
from image2model.fetching.records import Fetch, FetchedPicture
from image2model.jobs.fetches import FetchPlan
from image2model.media.inspect import inspect
from image2model.network.fetch import Fetcher, NotFetched
from image2model.queue.retry import retry_until_stored
from image2model.queue.running import RunningTask
from image2model.settings import Settings
from image2model.shielded import in_thread
from image2model.storage import layout
from image2model.storage.errors import StorageError
from image2model.storage.objects import ObjectStorage
from image2model.store.connection import StoreOutage
from image2model.telemetry import metrics, tracing

CODE: Final = "image_unreadable"
PAUSES_S: Final = (1.0, 4.0, 15.0, 40.0)
"""After each failure that may pass; after the one behind the last the images fail."""
_OUTAGE_S: Final = 1.0
_log: Final = structlog.stdlib.get_logger(__name__)


class FetchContext(Protocol):
    """What a fetch needs of the worker."""

    settings: Settings
    redis: Redis
    storage: ObjectStorage
    fetcher: Fetcher
    fetch_pauses: tuple[float, ...]


async def fetch_pictures(context: FetchContext, running: RunningTask, fetch_id: str) -> None:
    """Fetch what is missing, and let the images start. Raises arq.Retry to go on later."""
    running.on_cancel(running.stop)
    started = time.monotonic()
    outcome = "interrupted"
    try:
        outcome = await _Fetching(context, running, fetch_id).run()
    except StaleFence as stale:
        outcome = "stale"
        running.final = True
        _log.debug("fetch_not_needed", reason=str(stale))
    except Retry:
        outcome = "retry"
        raise
    except (StoreOutage, StorageError) as error:
        outcome = "retry"
        _log.warning("store_or_storage_unavailable", error=str(error))
        raise Retry(defer=_OUTAGE_S) from error
    finally:
        metrics.TASK_DURATION.labels("fetch_pictures", outcome).observe(time.monotonic() - started)


async def fail_fetch(context: FetchContext, running: RunningTask, fetch_id: str) -> None:
    """A fault of ours has stopped the fetch three times: its images fail."""
    error = ImageError(
        "unexpected_error",
        "A fault of this service stopped the fetch of this picture three times in a row. The worker's log "
        "has the traceback (event `unexpected_error`). Nothing was sent to FAL; a retry may work.",
        retryable=True,
    )
    await _fail(context, running, fetch_id, error, keep=True)


async def _fail(
    context: FetchContext, running: RunningTask, fetch_id: str, error: ImageError, *, keep: bool
) -> None:
    failed = await retry_until_stored(
        lambda: records.fail(context.redis, fetch_id, running.token, error, keep=keep)
    )
    running.final = True  # the store has released the task
    for image_id, model in failed:
        _log.info("image_failed", image_id=image_id, code=error.code, reason=error.message)
        metrics.IMAGES.labels(model, ImageStatus.FAILED.value).inc()


class _Fetching:
    """One run of one fetch."""

    def __init__(self, context: FetchContext, running: RunningTask, fetch_id: str) -> None:
        self._context = context
        self._running = running
        self._fetch_id = fetch_id

    async def run(self) -> str:
        """Returns how it ended. Raises StaleFence, arq.Retry, StorageError, StoreOutage."""
        fetch = await records.load(self._context.redis, self._fetch_id)
        if fetch is None:
            return "stale"
        images = await records.load_images(self._context.redis, fetch.plan)
        job_ids = [one.job_id for one in fetch.plan.targets]
        with (
            structlog.contextvars.bound_contextvars(job_ids=job_ids),
            tracing.span(
                "fetch_pictures",
                kind=tracing.Kind.CONSUMER,
                attributes={tracing.JOB_ID: job_ids[0]},
                parent=images[0].traceparent if images else "",
                expected=(Retry, StaleFence),
            ) as span,
        ):
            try:
                pictures = await self._fetched(fetch)
            except NotFetched as failure:
                span.set(tracing.OUTCOME, "failed")
                return await self._failed(failure)
            await self._finish(fetch.plan, pictures)
            return "succeeded"

    async def _fetched(self, fetch: Fetch) -> Mapping[int, FetchedPicture]:
        found = dict(fetch.pictures)
        for index, address in sorted(fetch.addresses.items()):
            if index in found:
                continue
            async with self._context.fetcher.file(address.url) as data:
                found[index] = await self._store(fetch.plan, index, data)
            await records.note_fetched(
                self._context.redis, self._fetch_id, self._running.token, index, found[index]
            )
            _log.info("picture_fetched", bytes=found[index].size)
        return found

    async def _store(self, plan: FetchPlan, index: int, data: bytes) -> FetchedPicture:
        """Raises NotFetched where it is no picture that can be used."""
        try:
            picture = await in_thread(_examined, data, self._context.settings.max_pixels)
        except FileProblem as problem:
            raise NotFetched(f"What stands at this address cannot be used. {problem.detail}") from None
        keys = [
            layout.original(target.job_id, target.file_ids[index], picture.format) for target in plan.targets
        ]
        storage = self._context.storage
        try:
            await storage.put(
                keys[0], data, content_type=f"image/{picture.format}", filename=plan.filenames[index]
            )
            for key in keys[1:]:
                await storage.copy(keys[0], key)
        except DiskFull as full:
            raise StorageError("the disk is full") from full
        return picture

    async def _finish(self, plan: FetchPlan, pictures: Mapping[int, FetchedPicture]) -> None:
        files = {
            file_id: pictures[index]
            for target in plan.targets
            for index, file_id in enumerate(target.file_ids)
        }
        dedupe = self._context.settings.dedupe
        # read anew: a client may have retried with other parameters meanwhile
        images = await records.load_images(self._context.redis, plan)
        fields = [(one.image_id, known_fields(one, files, dedupe=dedupe)) for one in images]
        await records.finish(self._context.redis, self._fetch_id, self._running.token, fields)
        self._running.final = True  # the store has released the task

    async def _failed(self, failure: NotFetched) -> str:
        """Try again later, or fail the images. Raises arq.Retry, StaleFence."""
        pauses = self._context.fetch_pauses
        if failure.transient:
            tries = await records.count_try(self._context.redis, self._fetch_id, self._running.token)
            if tries <= len(pauses):
                wait = max(pauses[tries - 1], failure.wait_s)
                _log.info("picture_not_fetched", wait_s=wait, reason=str(failure))
                raise Retry(defer=wait)
        error = ImageError(CODE, _advice(failure), retryable=failure.transient)
        await _fail(self._context, self._running, self._fetch_id, error, keep=failure.transient)
        return "failed"


def _examined(data: bytes, max_pixels: int) -> FetchedPicture:
    """Inspect and hash a picture. Blocks. Raises FileProblem."""
    picture = inspect(data, max_pixels=max_pixels)
    return FetchedPicture(
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        width=picture.width,
        height=picture.height,
        format=picture.format,
        frames=picture.frames,
    )


def _advice(failure: NotFetched) -> str:
    text = f"The picture could not be fetched: {failure}"
    return f"{text} A retry within 24 hours tries the same address again." if failure.transient else text
