"""From a stored picture to FAL's `request_id`: the call that costs money.

In this order: prepare the picture and upload it to FAL (for a second step, the model too), get a permit,
mark in the store that the POST begins, POST, store FAL's id. Once the POST may have begun, the process waits
for its end, even if the image's own task is stopped: a worker that loses the image meanwhile is the only one
that knows the id.
"""

import asyncio
import secrets
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final
from urllib.parse import urlencode

import msgspec
import structlog

from image2model.domain import FIRST_CUTOUT, FalRequest
from image2model.errors import (
    FalAccountFault,
    FalEndpointFault,
    FalError,
    FalNotAccepted,
    FalRejected,
    FalResultGone,
    ImageFailure,
    InvalidParameter,
    StaleFence,
    UnknownModel,
)
from image2model.fal.endpoints import Endpoint, View, payload, step_payload
from image2model.fal.prices import is_free
from image2model.generation import costs, fal_deletions, steps
from image2model.generation.context import GenerationContext
from image2model.generation.fal_deletions import kept_at_fal
from image2model.generation.loading import Task
from image2model.generation.parent_model import upload_model
from image2model.generation.pictures import upload_pictures
from image2model.generation.steps import Committed
from image2model.jobs import thumbnails
from image2model.queue import window
from image2model.queue.permits import Paused, PermitRequest
from image2model.queue.retry import retry_until_stored
from image2model.queue.running import RunningTask
from image2model.storage.errors import StorageError
from image2model.store.connection import StoreOutage
from image2model.telemetry.unexpected import report_unexpected

_log: Final = structlog.get_logger(__name__)

_LONGEST_MARK_S: Final = 1.0
"""If the mark took longer, the connection to FAL may be closed by now, and a POST over it would be lost."""


class _Sources(msgspec.Struct, frozen=True):
    """What is at FAL for this attempt: the model of a second step, and pictures."""

    model_url: str
    views: Sequence[View]
    thumbnail: bytes | None

    @property
    def url(self) -> str:
        """By which FAL's listing finds the request."""
        return self.model_url or self.views[0].url


class MarkTooLate(Exception):
    """The mark is set, and nothing was sent."""


async def submit(context: GenerationContext, task: Task, running: RunningTask) -> FalRequest:
    """Buy one generation, and return FAL's request once it is stored.

    Raises FalError, ImageFailure, StaleFence, NoDiskSpace, Paused, EndpointRefused, and arq.Retry after a
    crash of the decoder.
    """
    with context.posts.due():
        await context.disk_space.check()
        sources = await _upload(context, task, running.token)
        attempt_token = secrets.token_hex(12)
        # each URL belongs to this attempt alone, so any of them finds a request whose reply was lost
        permit = PermitRequest(task.image_id, running.token, attempt_token, sources.url)
        await context.permits.take(permit, running)
        await context.disk_space.check()  # the wait may have been long
        body = await _payload(context, task, sources)
        posting = asyncio.create_task(_post(context, task, running.token, attempt_token, body))
        context.submissions.add(posting)
        posting.add_done_callback(lambda _: _posted(context, posting))
        request = await asyncio.shield(posting)
    if sources.thumbnail is not None and _sends_first_picture(task):
        storing = asyncio.create_task(_store_thumbnail(context, task, sources.thumbnail))
        context.thumbnails.add(storing)
        storing.add_done_callback(context.thumbnails.discard)
    return request


def _sends_first_picture(task: Task) -> bool:
    """Whether what is sent first is the picture that was uploaded first, which the thumbnail shows."""
    return task.phase == FIRST_CUTOUT or (not task.phase and task.preparation is None)


async def _upload(context: GenerationContext, task: Task, fence: str) -> _Sources:
    """Raises as `upload_pictures` and `upload_model`."""
    step = task.model_input
    if step is None:
        return _Sources("", *await upload_pictures(context, task, fence))
    model_url = await upload_model(context, task, step)
    if not step.picture:
        return _Sources(model_url, [], None)
    return _Sources(model_url, *await upload_pictures(context, task, fence))


async def _endpoint(context: GenerationContext, task: Task) -> Endpoint:
    """The endpoint as FAL describes it now. Raises ImageFailure where it is not even in the store's copy."""
    try:
        return await context.catalogue.find(task.model)
    except UnknownModel as unknown:
        raise ImageFailure("generation_failed", unknown.detail, retryable=True) from unknown


async def _payload(context: GenerationContext, task: Task, sources: _Sources) -> dict[str, object]:
    """FAL's input. Raises ImageFailure where the endpoint takes such files no more."""
    endpoint, step = await _endpoint(context, task), task.model_input
    try:
        if step is None:
            return payload(endpoint, task.filename, sources.views, task.params)
        picture_url = sources.views[0].url if sources.views else None
        return step_payload(endpoint, sources.model_url, step.format, picture_url, task.params)
    except InvalidParameter as refused:
        raise ImageFailure("generation_failed", refused.detail, retryable=True) from refused


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
    await context.posts.give_way()
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
