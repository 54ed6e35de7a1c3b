"""From a stored picture to FAL's `request_id`: steps 1 to 4 of the call that costs money.

Who calls it: `generate`. Once the POST may have begun, its end is awaited by the process, not by the
image's task: a worker that loses the image meanwhile is the only one who knows the id.
"""

import asyncio
import secrets
import time
from contextlib import aclosing, nullcontext
from datetime import UTC, datetime, timedelta
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
)
from image2model.fal.endpoints import Endpoint, endpoint_of, payload
from image2model.fal.prices import is_free
from image2model.generation import costs, steps
from image2model.generation.context import GenerationContext
from image2model.generation.steps import Committed, Task
from image2model.generation.suspects import DecoderDied, Suspect
from image2model.media.preflight import Prepared, prepare
from image2model.queue.leases import MAX_CRASHES
from image2model.queue.permits import Paused, PermitRequest
from image2model.queue.probes import check_endpoint
from image2model.queue.retry import retry_until_stored
from image2model.queue.running import RunningTask
from image2model.storage.errors import ObjectMissing
from image2model.store.connection import StoreOutage
from image2model.store.scripts import WORKER_CRASHED
from image2model.telemetry import tracing

_log: Final = structlog.get_logger("worker.submit")

_LONGEST_MARK_S: Final = 1.0
"""A connection that has waited longer for the store may be closed by now, and a POST over it be lost."""
_COPIES: Final = 2
"""The picture as it was uploaded, and as it is sent to FAL."""
_FIRST_GAP_S: Final = 1.0
"""Between the first two tries of a picture that ends the process which decodes it; each is twice the last."""


class MarkTooLate(Exception):
    """The mark is set, and nothing was sent."""


async def submit(context: GenerationContext, task: Task, running: RunningTask) -> FalRequest:
    """Buy one generation. Raises FalError, ImageFailure, StaleFence, NoRoom, Paused and EndpointRefused."""
    endpoint = endpoint_of(task.model)
    await context.disk_space.check()
    url, thumbnail = await _upload(context, task, running.token)
    attempt_token = secrets.token_hex(12)
    await running.take_slot(context.slots)
    await context.permits.take(PermitRequest(task.image_id, running.token, attempt_token, url))
    await context.disk_space.check()  # the wait may have been long
    posting = asyncio.create_task(_post(context, task, running.token, attempt_token, endpoint, url))
    context.submissions.add(posting)
    posting.add_done_callback(lambda _: _posted(context, posting))
    request = await asyncio.shield(posting)
    context.thumbnails_ahead.keep_soon(task, thumbnail)
    return request


async def _upload(context: GenerationContext, task: Task, fence: str) -> tuple[str, bytes]:
    """The prepared picture's URL at FAL, and its thumbnail: no more of it is kept, for permits may be far."""
    # a suspect waits before it holds any bytes, which healthy pictures need
    turn = context.suspects if task.hazard_deaths else nullcontext()
    async with turn, context.picture_bytes.hold(_COPIES * task.size):
        with tracing.span("prepare"):
            prepared = await _prepare(context, task, fence)
        name = f"{task.image_id}.{prepared.suffix}"
        url = await context.fal.upload(prepared.data, filename=name, content_type=prepared.content_type)
        return url, prepared.thumbnail


def _posted(context: GenerationContext, posting: "asyncio.Task[FalRequest]") -> None:
    context.submissions.discard(posting)
    # looked at, for the image's task may have been stopped meanwhile
    error = None if posting.cancelled() else posting.exception()
    if error is not None and not isinstance(error, (FalError, StaleFence, Paused)):
        _log.error("submit_broke_off", exc_info=error)


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
    """The picture has ended the process in which it was alone: again later, or that was the last time."""
    crashes = await retry_until_stored(lambda: steps.note_crash(context.redis, task.image_id, fence))
    _log.error("decoder_died", image_id=task.image_id, crashes=crashes, reason=str(died))
    if crashes < MAX_CRASHES:
        return Retry(defer=_FIRST_GAP_S * 2 ** (crashes - 1))
    error = WORKER_CRASHED
    return ImageFailure(error.code, error.message, retryable=error.retryable)


async def _post(
    context: GenerationContext, task: Task, fence: str, attempt_token: str, endpoint: Endpoint, url: str
) -> FalRequest:
    async def mark() -> None:
        began = time.monotonic()
        await steps.mark_posting(context.replicas, task.image_id, fence)
        if time.monotonic() - began > _LONGEST_MARK_S:
            raise MarkTooLate

    try:
        request = await context.fal.submit(
            endpoint.id,
            payload(endpoint, url, task.params),  # type: ignore[arg-type]  # normalised at the door
            tags={"i2m.attempt": attempt_token, "i2m.image": task.image_id},
            webhook_url=_webhook_url(context, task, attempt_token),
            before_send=mark,
            priority="low" if task.priority == "low" else None,
        )
    except (FalNotAccepted, FalAccountFault, FalEndpointFault, FalRejected, StaleFence) as refused:
        if isinstance(refused, FalRejected):
            await costs.book_refused_post(context, task, attempt_token, refused.billable_units)
        # told here, for the image's task may be gone by now, and a mark that stays would put it in doubt
        await retry_until_stored(lambda: steps.not_sent(context.redis, task.image_id, attempt_token))
        raise
    except (StoreOutage, MarkTooLate) as error:
        # only the mark asks the store, and without its answer in time nothing was sent
        await retry_until_stored(lambda: steps.not_sent(context.redis, task.image_id, attempt_token))
        raise Paused from error
    return await commit(context, task, fence, attempt_token, request)


def _webhook_url(context: GenerationContext, task: Task, attempt_token: str) -> str | None:
    """Where FAL tells the end of this attempt. The token is secret: who has it may speak of this attempt."""
    public = context.settings.public_url
    if public is None:
        return None
    query = urlencode({"image": task.image_id, "attempt": attempt_token})
    return f"{public}/api/v1/webhooks/fal?{query}"


async def commit(
    context: GenerationContext, task: Task, fence: str, attempt_token: str, request: FalRequest
) -> FalRequest:
    """Store FAL's id, until it is stored or the process ends. Raises StaleFence where it is another's now."""
    try:
        stored = await retry_until_stored(
            lambda: steps.commit_submission(context.replicas, task.image_id, fence, attempt_token, request)
        )
    except Exception:
        # the mark stays, so it is looked up and never sent again; the log knows the id in any case
        _log.exception("submission_not_stored", image_id=task.image_id, fal_request_id=request.request_id)
        raise
    if stored is Committed.SUPERSEDED:
        await abandon(context, task, attempt_token, request)
    if stored is not Committed.MINE:
        raise StaleFence(f"request {request.request_id} is another's to follow: {stored.name}")
    return request


_EARLIER: Final = timedelta(minutes=5)
"""FAL's clock and ours may differ by so much."""
_LAST_GAP_S: Final = 15.0


async def look_up(context: GenerationContext, task: Task) -> FalRequest | None:
    """The request that FAL lists with this attempt's URL. A failed look-up finds nothing."""
    since = datetime.fromtimestamp(task.posting_at / 1000, UTC) - _EARLIER
    try:
        return await context.fal.find_submission(task.model, task.intent_url, since)
    except FalError as error:
        _log.warning("submission_lookup_failed", image_id=task.image_id, error=error.message)
        return None


def next_look_s(task: Task, grace_s: float) -> float | None:
    """Seconds until the next look: growing with the age that the submit had when the task was loaded; None
    when the grace is over."""
    age = max(task.loaded_at - task.posting_at, 0) / 1000
    if age >= grace_s:
        return None
    return min(max(_FIRST_GAP_S, age / 4), _LAST_GAP_S, grace_s - age + 0.1)


async def abandon(context: GenerationContext, task: Task, attempt_token: str, request: FalRequest) -> None:
    """Ask FAL to stop it, then book in the background what it took."""
    _log.warning("superseded_request", image_id=task.image_id, fal_request_id=request.request_id)
    try:
        await context.fal.cancel(request)
    except FalError as error:
        _log.warning("could_not_cancel", fal_request_id=request.request_id, error=error.message)
    following = asyncio.create_task(_book_end(context, task, attempt_token, request))
    context.abandoned.add(following)
    following.add_done_callback(context.abandoned.discard)


async def _book_end(context: GenerationContext, task: Task, attempt_token: str, request: FalRequest) -> None:
    """As `generate` does for a request of the present attempt. A 5xx and an obeyed cancel book nothing."""
    try:
        async with asyncio.timeout(context.settings.task_timeout):
            async with aclosing(context.fal.follow(request)) as updates:
                async for _ in updates:
                    pass
            found = await context.fal.result(endpoint_of(task.model), request)
        await costs.book_result(context, task, request, found.billable_units, attempt_token=attempt_token)
    except FalRejected as refused:
        if not is_free(refused):
            units = refused.billable_units
            await costs.book_refusal(context, task, request, units, ran=True, attempt_token=attempt_token)
    except FalResultGone:
        await costs.book_lost(context, task, request, attempt_token=attempt_token)
    except (FalError, TimeoutError) as error:
        _log.info("superseded_request_not_booked", fal_request_id=request.request_id, reason=str(error))
