"""From a stored picture to FAL's `request_id`: the call that costs money.

In this order: prepare the picture and upload it to FAL, get a permit, mark in the store that the POST begins,
POST, store FAL's id. Once the POST may have begun, the process waits for its end, even if the image's own
task is stopped: a worker that loses the image meanwhile is the only one that knows the id.
"""

import asyncio
import secrets
import time
from contextlib import aclosing, nullcontext
from functools import partial
from typing import Final
from urllib.parse import urlencode

import structlog
from arq.worker import Retry

from image2model.domain import FalRequest
from image2model.errors import (
    FalAccountFault,
    FalEndpointFault,
    FalError,
    FalNotAccepted,
    FalRejected,
    FalResultGone,
    ImageFailure,
    StaleFence,
    UnknownModel,
)
from image2model.fal.endpoints import Endpoint, payload
from image2model.fal.prices import is_free
from image2model.generation import costs, fal_deletions, steps
from image2model.generation.context import GenerationContext
from image2model.generation.fal_deletions import kept_at_fal
from image2model.generation.steps import Committed, Task
from image2model.generation.suspects import DecoderDied, Suspect
from image2model.jobs import thumbnails
from image2model.media.preflight import Prepared, prepare
from image2model.queue import window
from image2model.queue.leases import MAX_CRASHES
from image2model.queue.permits import Paused, PermitRequest
from image2model.queue.probes import check_endpoint
from image2model.queue.retry import retry_until_stored
from image2model.queue.running import RunningTask
from image2model.storage.errors import ObjectMissing, StorageError
from image2model.store.connection import StoreOutage
from image2model.store.scripts import WORKER_CRASHED
from image2model.telemetry import tracing
from image2model.telemetry.unexpected import report_unexpected

_log: Final = structlog.get_logger(__name__)

_LONGEST_MARK_S: Final = 1.0
"""If the mark took longer, the connection to FAL may be closed by now, and a POST over it would be lost."""
_COPIES: Final = 2
"""The picture as it was uploaded, and as it is sent to FAL."""
_FIRST_GAP_S: Final = 1.0
"""Between the first two tries of a picture that ends its decoder process; each gap is twice the last."""


class MarkTooLate(Exception):
    """The mark is set, and nothing was sent."""


async def submit(context: GenerationContext, task: Task, running: RunningTask) -> FalRequest:
    """Buy one generation, and return FAL's request once it is stored.

    Raises FalError, ImageFailure, StaleFence, NoDiskSpace, Paused, EndpointRefused, and arq.Retry after a
    crash of the decoder.
    """
    await context.disk_space.check()
    url, thumbnail = await _upload(context, task, running.token)
    attempt_token = secrets.token_hex(12)
    await context.permits.take(PermitRequest(task.image_id, running.token, attempt_token, url), running)
    await context.disk_space.check()  # the wait may have been long
    body = payload(await _endpoint(context, task), url, task.params)
    posting = asyncio.create_task(_post(context, task, running.token, attempt_token, body))
    context.submissions.add(posting)
    posting.add_done_callback(lambda _: _posted(context, posting))
    request = await asyncio.shield(posting)
    storing = asyncio.create_task(_store_thumbnail(context, task, thumbnail))
    context.thumbnails.add(storing)
    storing.add_done_callback(context.thumbnails.discard)
    return request


async def _endpoint(context: GenerationContext, task: Task) -> Endpoint:
    """The endpoint as FAL describes it now. Raises ImageFailure where it is not even in the store's copy."""
    try:
        return await context.catalogue.find(task.model)
    except UnknownModel as unknown:
        raise ImageFailure("generation_failed", unknown.detail, retryable=True) from unknown


async def _upload(context: GenerationContext, task: Task, fence: str) -> tuple[str, bytes]:
    """The prepared picture's URL at FAL, and its thumbnail. Nothing else is kept: a permit may take long."""
    # a suspect waits before it holds any bytes, which healthy pictures need
    turn = context.suspects if task.hazard_deaths else nullcontext()
    async with turn, context.picture_bytes.hold(_COPIES * task.size):
        with tracing.span("prepare"):
            prepared = await _prepare(context, task, fence)
        name = f"{task.image_id}.{prepared.suffix}"
        url = await context.fal.upload(prepared.data, filename=name, content_type=prepared.content_type)
        return url, prepared.thumbnail


async def _prepare(context: GenerationContext, task: Task, fence: str) -> Prepared:
    await check_endpoint(context, task.image_id, task.model)
    try:
        original = await context.storage.get(task.source_key)
    except ObjectMissing as missing:
        raise ImageFailure(
            "storage_failed",
            "The uploaded picture is gone from the storage; upload it again.",
            retryable=False,
        ) from missing
    call = partial(prepare, original, max_pixels=context.settings.max_pixels)
    async with nullcontext() if task.hazard_deaths else context.preparing:
        await check_endpoint(context, task.image_id, task.model)  # the wait may have been long
        try:
            return await context.hazard.run(Suspect.of(task, fence), call)
        except DecoderDied as died:
            raise await _crashed(context, task, fence, died) from died


async def _crashed(context: GenerationContext, task: Task, fence: str, died: DecoderDied) -> Exception:
    """The picture has ended the process in which it was alone: try it later, unless this was the last try."""
    crashes = await steps.note_crash(context.redis, task.image_id, fence)
    _log.error("decoder_died", image_id=task.image_id, crashes=crashes, reason=str(died))
    if crashes < MAX_CRASHES:
        return Retry(defer=_FIRST_GAP_S * 2 ** (crashes - 1))
    error = WORKER_CRASHED
    return ImageFailure(error.code, error.message, retryable=error.retryable)


async def _post(
    context: GenerationContext, task: Task, fence: str, attempt_token: str, body: dict[str, object]
) -> FalRequest:
    webhook_url = _webhook_url(context, task, attempt_token)

    async def mark() -> None:
        began = time.monotonic()
        await steps.mark_posting(context.replicas, task.image_id, fence)
        if time.monotonic() - began > _LONGEST_MARK_S:
            raise MarkTooLate

    try:
        request = await context.fal.submit(
            task.model,
            body,
            tags={"i2m.attempt": attempt_token, "i2m.image": task.image_id},
            webhook_url=webhook_url,
            before_send=mark,
            priority="low" if task.priority == "low" else None,
        )
    except (FalNotAccepted, FalAccountFault, FalEndpointFault, FalRejected, StaleFence) as refused:
        if isinstance(refused, FalRejected):
            await costs.book_refused_post(context, task, attempt_token, refused.billable_units)
        # here, because the image's task may be gone by now, and a mark that stays would put it in doubt
        await steps.not_sent(context.redis, task.image_id, attempt_token)
        raise
    except (StoreOutage, MarkTooLate) as error:
        # only the mark calls the store, and without its reply in time nothing was sent
        await steps.not_sent(context.redis, task.image_id, attempt_token)
        raise Paused from error
    committed = await commit(context, task, fence, attempt_token, request)
    limit = context.fal.concurrency_limit
    if limit is not None:
        await _note_limit(context, limit)
    return committed


async def _note_limit(context: GenerationContext, limit: int) -> None:
    try:
        await window.note_limit(context.redis, limit)
    except StoreOutage as error:
        _log.info("fal_limit_not_stored", reason=str(error))  # the next submit says it again


def _webhook_url(context: GenerationContext, task: Task, attempt_token: str) -> str | None:
    """Where FAL reports the end of this attempt. The token is secret: it proves that the report is FAL's."""
    public = context.settings.public_url
    if public is None:
        return None
    query = urlencode({"image": task.image_id, "attempt": attempt_token})
    return f"{public}/api/v1/webhooks/fal?{query}"


def _posted(context: GenerationContext, posting: "asyncio.Task[FalRequest]") -> None:
    context.submissions.discard(posting)
    # logged here, because the image's task may have been stopped meanwhile
    error = None if posting.cancelled() else posting.exception()
    if error is not None and not isinstance(error, (FalError, StaleFence, Paused)):
        _log.error("submit_broke_off", exc_info=error)


async def _store_thumbnail(context: GenerationContext, task: Task, webp: bytes) -> None:
    """Store what the preparation made. A failure harms nothing: the API makes a missing thumbnail anew."""
    try:
        await thumbnails.keep(context.storage, task, webp)
    except StorageError as error:
        _log.info("thumbnail_not_stored", image_id=task.image_id, reason=str(error))
    except Exception as error:  # noqa: BLE001 - reported; a thumbnail can be made again
        report_unexpected("thumbnail", error, image_id=task.image_id)


async def commit(
    context: GenerationContext, task: Task, fence: str, attempt_token: str, request: FalRequest
) -> FalRequest:
    """Store FAL's id; repeat that until it is stored or the process ends.

    Raises StaleFence if another worker holds the image now. If another attempt has taken this one's place,
    FAL is asked to cancel the request, and what it costs is booked in the background.
    """
    try:
        stored = await retry_until_stored(
            lambda: steps.commit_submission(
                context.replicas,
                task.image_id,
                fence,
                attempt_token,
                request,
                keep=kept_at_fal(context.settings),
            )
        )
    except Exception:
        # the mark stays, so the request is looked up and never sent again; the log has the id in any case
        _log.exception("submission_not_stored", image_id=task.image_id, fal_request_id=request.request_id)
        raise
    if stored is Committed.SUPERSEDED:
        await _abandon(context, task, attempt_token, request)
    if stored is not Committed.MINE:
        raise StaleFence(f"another worker follows request {request.request_id}: {stored.name}")
    return request


async def _abandon(context: GenerationContext, task: Task, attempt_token: str, request: FalRequest) -> None:
    _log.warning("superseded_request", image_id=task.image_id, fal_request_id=request.request_id)
    try:
        await context.fal.cancel(request)
    except FalError as error:
        _log.warning(
            "superseded_request_not_cancelled", fal_request_id=request.request_id, error=error.message
        )
    following = asyncio.create_task(_book_superseded(context, task, attempt_token, request))
    context.abandoned.add(following)
    following.add_done_callback(context.abandoned.discard)


async def _book_superseded(
    context: GenerationContext, task: Task, attempt_token: str, request: FalRequest
) -> None:
    """Follow the request and book it as `generate` does. A 5xx and an obeyed cancel cost nothing."""
    try:
        async with asyncio.timeout(context.settings.task_timeout):
            async with aclosing(context.fal.follow(request)) as updates:
                async for _ in updates:
                    pass
            endpoint = await context.catalogue.find_bought(task.model)
            found = await context.fal.result(endpoint, request)
        await costs.book_result(context, task, request, found.billable_units, attempt_token=attempt_token)
    except FalRejected as refused:
        if not is_free(refused):
            units = refused.billable_units
            await costs.book_refusal(context, task, request, units, ran=True, attempt_token=attempt_token)
    except FalResultGone:
        await costs.book_lost(context, task, request, attempt_token=attempt_token)
    except (FalError, TimeoutError) as error:
        _log.info("superseded_request_not_booked", fal_request_id=request.request_id, reason=str(error))
    await retry_until_stored(lambda: fal_deletions.leave(context.redis, request.request_id))
