"""From FAL's `request_id` to the end of the request; each change is stored as it comes.

The gateway retries errors on the way with the same request. A cancel, by a client or by us after
`I2M_TASK_TIMEOUT`, is sent beside, and the request is followed to its end.
"""

import asyncio
import time
from contextlib import aclosing
from typing import Final

import structlog

from image2model.domain import FalRequest, ImageStatus
from image2model.errors import FalError, FalRejected, FalResultGone, FalTransient, ImageFailure, StaleFence
from image2model.fal.errors import FalCancelled, FalUnreachable
from image2model.fal.follow import CancelReply, FalStatus, FalUpdate
from image2model.generation import costs, steps
from image2model.generation.context import GenerationContext
from image2model.generation.fal_messages import Callback, OtherReports, encoded, explained, other_reports
from image2model.generation.loading import Task
from image2model.queue.retry import full_jitter, retry_until_stored
from image2model.queue.running import RunningTask
from image2model.store.connection import StoreOutage
from image2model.telemetry import tracing

_log = structlog.get_logger(__name__)

_COMPLETION_GRACE_S: Final = 10.0
"""How long the status may contradict FAL's reply to a cancel that the request has completed."""


async def follow(context: GenerationContext, task: Task, running: RunningTask, request: FalRequest) -> None:
    """Returns when FAL has COMPLETED the request; its result shows how it ended.

    Raises StaleFence. Raises FalResultGone once FAL has denied the request for the grace and no other report
    of FAL's mentions it. If FAL's status reported an end for `I2M_TASK_TIMEOUT` and the result never came:
    ImageFailure `generation_timeout`, or FalCancelled if a client cancelled it.
    """
    follower = _Follower(context, task, running, request)
    running.on_cancel(follower.cancel)
    if task.cancel_requested:
        running.request_cancel()
    try:
        with tracing.span("follow", expected=(StaleFence,)) as span:
            while not await follower.follow(span):
                pass
    finally:
        follower.close()


class _Follower:
    """Follows one request. Three clocks run beside it:

    the generation's, from the first IN_PROGRESS; one of `FalStatus.UNCLEAR`, while FAL's status reports an
    end without a result; and one after a cancel that FAL answered with "already completed".
    """

    def __init__(
        self, context: GenerationContext, task: Task, running: RunningTask, request: FalRequest
    ) -> None:
        self._context = context
        self._task = task
        self._running = running
        self._request = request
        self._began = time.monotonic()
        self._generation_timer: asyncio.TimerHandle | None = None
        self._unclear_timer: asyncio.TimerHandle | None = None
        self._last_unclear: FalUpdate | None = None
        self._cancelling: asyncio.Task[None] | None = None
        self._denied_at: float | None = None
        self._complete_at: float | None = None
        self._deadline: asyncio.Timeout | None = None
        self._given_up = False

    async def follow(self, span: tracing.Span) -> bool:
        """Follow to the end. False: follow again, because FAL's listing has what its status denies."""
        try:
            async with asyncio.timeout_at(self._complete_at) as self._deadline:
                return await self._to_the_end(span)
        except TimeoutError:
            if self._deadline is None or not self._deadline.expired():
                raise
            if self._given_up:
                raise await self._no_result() from None
            # FAL replied to the cancel that the request has completed; its status never reports that
            await self._write(FalUpdate(FalStatus.COMPLETED))
            return True

    def cancel(self) -> None:
        """Ask FAL to stop, once; the following goes on."""
        if self._cancelling is None:
            self._cancelling = asyncio.create_task(self._cancel())

    def close(self) -> None:
        """Stop the clocks, and a cancel that is still being sent."""
        self._clear_again()
        if self._generation_timer is not None:
            self._generation_timer.cancel()
        if self._cancelling is not None:
            self._cancelling.cancel()

    async def _to_the_end(self, span: tracing.Span) -> bool:
        try:
            async with aclosing(self._context.fal.follow(self._request)) as updates:
                async for update in updates:
                    span.event(update.status.value)
                    if update.status is FalStatus.DENIED:
                        if (await self._other_reports()).ended:
                            await self._write(FalUpdate(FalStatus.COMPLETED))
                            break
                    elif update.status is FalStatus.UNCLEAR:
                        self._denied_at = None
                        self._time_unclear(update)
                    else:
                        self._denied_at = None
                        self._clear_again()
                        await self._write(update)
        except FalResultGone as gone:
            if await self._still_listed():
                return False
            error = await explained(self._context.redis, self._task.image_id, self._request, gone)
            if error is gone:
                raise
            raise error from gone
        return True

    async def _other_reports(self) -> OtherReports:
        if self._denied_at is None:
            self._denied_at = time.monotonic()
        try:
            endpoint = await self._context.catalogue.find_bought(self._task.model)
            return await other_reports(self._context, self._task, self._request, endpoint)
        except (FalRejected, FalTransient, FalCancelled):
            return OtherReports(ended=True)  # `collect` fetches it again

    async def _still_listed(self) -> bool:
        """Whether FAL lists it as running. This is believed for as long as a result may be waited for."""
        since = time.monotonic() if self._denied_at is None else self._denied_at
        patient = time.monotonic() - since < self._context.patience.model
        return patient and (await self._other_reports()).running

    async def _write(self, update: FalUpdate) -> None:
        """Store a change at FAL as a change of the image."""
        if update.status is FalStatus.QUEUED:
            position = "" if update.queue_position is None else update.queue_position
            await self._move(ImageStatus.SUBMITTED, "queue_position", position)
        elif update.status is FalStatus.RUNNING:
            await self._move(ImageStatus.GENERATING, "queue_position", "")
            self._time_generation()
        else:
            # before the step, whose notification lets this worker pick the next image
            self._running.left_fal = True
            await retry_until_stored(
                lambda: self._move(ImageStatus.STORING, "queue_position", "", *self._message_fields(update))
            )

    async def _move(self, to: ImageStatus, *fields: steps.Field) -> None:
        if await steps.move(self._context.redis, self._task.image_id, self._running.token, to, *fields):
            self._running.request_cancel()

    def _message_fields(self, update: FalUpdate) -> tuple[steps.Field, ...]:
        """FAL's message at the end, for the process that has to fail the image, which may be another."""
        if update.error is None and update.error_type is None:
            return ()
        report = Callback(self._request.request_id, error=update.error, error_type=update.error_type)
        return ("fal_callback", encoded(report))

    def _time_generation(self) -> None:
        """Start the clock at the first IN_PROGRESS. A later holder of the image continues the same clock."""
        if self._generation_timer is not None:
            return
        ran = 0.0
        if self._task.running_at:
            ran = (self._task.loaded_at - self._task.running_at) / 1000 + time.monotonic() - self._began
        left = max(self._context.settings.task_timeout - ran, 0)
        self._generation_timer = asyncio.get_running_loop().call_later(left, self._time_out)

    def _time_unclear(self, update: FalUpdate) -> None:
        """FAL's status reports an end, and there is no result: that may be work, for `I2M_TASK_TIMEOUT`."""
        self._last_unclear = update
        if self._unclear_timer is None:
            timeout = self._context.settings.task_timeout
            loop = asyncio.get_running_loop()
            self._unclear_timer = loop.call_later(timeout, self._cancel_unclear)

    def _cancel_unclear(self) -> None:
        if not self._running.timed_out:
            self._time_out()
        grace = self._context.patience.grace
        self._unclear_timer = asyncio.get_running_loop().call_later(grace, self._give_up)

    def _give_up(self) -> None:
        self._given_up = True
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time())

    def _clear_again(self) -> None:
        """FAL's status shows again where the request is."""
        timer, self._unclear_timer = self._unclear_timer, None
        if timer is not None:
            timer.cancel()

    async def _no_result(self) -> ImageFailure | FalCancelled:
        """The error for a request whose result never came, although FAL's status reported its end."""
        await costs.book_lost(self._context, self._task, self._request)
        message = self._last_unclear.error if self._last_unclear else None
        said = f" FAL said: {message}" if message else ""
        text = (
            "FAL's status says that the request has ended, and FAL gave no result for "
            f"{self._context.settings.task_timeout:.0f} s (I2M_TASK_TIMEOUT); it was cancelled.{said}"
        )
        _log.error("request_outcome_unknown", request_id=self._request.request_id, reason=text)
        if self._running.cancel_requested or self._task.cancel_requested:
            return FalCancelled(text)
        return ImageFailure("generation_timeout", text, retryable=True)

    def _time_out(self) -> None:
        _log.warning("generation_timed_out", request_id=self._request.request_id)
        self._running.timed_out = True
        self.cancel()

    async def _cancel(self) -> None:
        tries = 0
        if self._running.timed_out:
            await self._store_timeout()
        while True:
            try:
                reply = await self._context.fal.cancel(self._request)
            except FalUnreachable as error:
                _log.warning("cancel_not_sent", error=error.message)
            except FalError as error:
                _log.warning("cancel_refused", error=error.message)
                return
            else:
                _log.info("cancel_sent", request_id=self._request.request_id, reply=reply.value)
                if reply is CancelReply.ALREADY_COMPLETED:
                    self._await_completion()
                return
            await asyncio.sleep(full_jitter(tries, cap_s=10))
            tries += 1

    async def _store_timeout(self) -> None:
        """For another worker, which may have to end the image."""
        try:
            await steps.note_timeout(self._context.redis, self._task.image_id, self._running.token)
        except (StoreOutage, StaleFence) as error:
            _log.warning("timeout_not_stored", error=str(error))

    def _await_completion(self) -> None:
        """FAL has completed the request: give its status a moment to report that too."""
        self._complete_at = asyncio.get_running_loop().time() + _COMPLETION_GRACE_S
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(self._complete_at)
