"""From FAL's `request_id` to the end of the request, its changes written as they come.

Who calls it: `generate`. Errors on the way are tried again by the gateway with the same request. A
cancel, a client's or ours after `I2M_TASK_TIMEOUT`, is sent beside, and the request followed to its end.
"""

import asyncio
import time
from contextlib import aclosing
from typing import Final

import structlog

from image2model.domain import FalRequest, ImageStatus
from image2model.errors import FalError, FalRejected, FalResultGone, FalTransient, ImageFailure, StaleFence
from image2model.fal.endpoints import endpoint_of
from image2model.fal.errors import FalCancelled, FalUnreachable
from image2model.fal.follow import CancelReply, FalStatus, FalUpdate
from image2model.generation import costs, steps
from image2model.generation import fal_words as callbacks
from image2model.generation.context import GenerationContext
from image2model.generation.fal_words import Callback, Elsewhere, FalWords, look_elsewhere
from image2model.generation.steps import Task
from image2model.queue.retry import full_jitter, retry_until_stored
from image2model.queue.running import RunningTask
from image2model.store.connection import StoreOutage
from image2model.telemetry import tracing

_log = structlog.get_logger("worker.follow")

_SETTLE_S: Final = 10.0
"""How long the status may go on contradicting FAL's word that the request has completed."""


async def follow(context: GenerationContext, task: Task, running: RunningTask, request: FalRequest) -> None:
    """Returns when FAL has COMPLETED it; how it ended, the result tells.

    Raises StaleFence; FalResultGone once FAL has denied the request for the grace and nothing else of FAL's
    speaks of it; and, where FAL's status spoke of an end for `I2M_TASK_TIMEOUT` and its result never came,
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
    def __init__(
        self, context: GenerationContext, task: Task, running: RunningTask, request: FalRequest
    ) -> None:
        self._context = context
        self._task = task
        self._running = running
        self._request = request
        self._began = time.monotonic()
        self._deadline: asyncio.TimerHandle | None = None
        self._cancelling: asyncio.Task[None] | None = None
        self._denied_at: float | None = None
        self._settle_at: float | None = None
        self._settled: asyncio.Timeout | None = None
        self._unsettled: FalUpdate | None = None
        self._doubt: asyncio.TimerHandle | None = None
        self._given_up = False

    async def follow(self, span: tracing.Span) -> bool:
        """Until the end: True. False: again, for FAL's listing knows what its status denies."""
        try:
            async with asyncio.timeout_at(self._settle_at) as self._settled:
                return await self._to_the_end(span)
        except TimeoutError:
            if self._settled is None or not self._settled.expired():
                raise
            if self._given_up:
                raise await self._never_settled() from None
            # FAL said to the cancel that it has completed; the status never says so
            await self.write(FalUpdate(FalStatus.COMPLETED))
            return True

    async def _to_the_end(self, span: tracing.Span) -> bool:
        try:
            async with aclosing(self._context.fal.follow(self._request)) as updates:
                async for update in updates:
                    span.event(update.status.value)
                    if update.status is FalStatus.DENIED:
                        if (await self._elsewhere()).ended:
                            await self.write(FalUpdate(FalStatus.COMPLETED))
                            break
                    elif update.status is FalStatus.UNCLEAR:
                        self._denied_at = None
                        self._time_doubt(update)
                    else:
                        self._denied_at = None
                        self._end_doubt()
                        await self.write(update)
        except FalResultGone as gone:
            if await self._still_listed():
                return False
            words = await FalWords.of(self._context.redis, self._task.image_id, self._request)
            if (error := words.added_to(gone)) is gone:
                raise
            raise error from gone
        return True

    async def _elsewhere(self) -> Elsewhere:
        """What the rest of FAL says while the status denies the request."""
        if self._denied_at is None:
            self._denied_at = time.monotonic()
        try:
            endpoint = endpoint_of(self._task.model)
            return await look_elsewhere(self._context, self._task, self._request, endpoint)
        except (FalRejected, FalTransient, FalCancelled):
            return Elsewhere(ended=True)  # `collect` asks for it again

    async def _still_listed(self) -> bool:
        """Whether FAL lists it as running, which is believed for as long as a result may be waited for."""
        since = time.monotonic() if self._denied_at is None else self._denied_at
        patient = time.monotonic() - since < self._context.patience.model
        return patient and (await self._elsewhere()).running

    async def write(self, update: FalUpdate) -> None:
        """One change at FAL becomes a change of the image."""
        if update.status is FalStatus.QUEUED:
            position = "" if update.queue_position is None else update.queue_position
            await self._move(ImageStatus.SUBMITTED, "queue_position", position)
        elif update.status is FalStatus.RUNNING:
            await self._move(ImageStatus.GENERATING, "queue_position", "")
            self._time_generation()
        else:
            await retry_until_stored(
                lambda: self._move(ImageStatus.STORING, "queue_position", "", *self._words(update))
            )

    def _words(self, update: FalUpdate) -> tuple[steps.Field, ...]:
        """FAL's words on the end, for whoever has to fail the image: perhaps another process."""
        if update.error is None and update.error_type is None:
            return ()
        said = Callback(self._request.request_id, error=update.error, error_type=update.error_type)
        return ("fal_callback", callbacks.text_of(said))

    async def _move(self, to: ImageStatus, *fields: steps.Field) -> None:
        if await steps.move(self._context.redis, self._task.image_id, self._running.token, to, *fields):
            self._running.request_cancel()

    def _time_generation(self) -> None:
        """Start the clock at the first IN_PROGRESS; a later holder goes on with the same one."""
        if self._deadline is not None:
            return
        ran = 0.0
        if self._task.running_at:
            ran = (self._task.loaded_at - self._task.running_at) / 1000 + time.monotonic() - self._began
        left = max(self._context.settings.task_timeout - ran, 0)
        self._deadline = asyncio.get_running_loop().call_later(left, self._time_out)

    def _time_doubt(self, update: FalUpdate) -> None:
        """FAL's status speaks of an end, and there is no result: that is believed to be work for as long."""
        self._unsettled = update
        if self._doubt is None:
            timeout = self._context.settings.task_timeout
            self._doubt = asyncio.get_running_loop().call_later(timeout, self._cancel_doubtful)

    def _cancel_doubtful(self) -> None:
        if not self._running.timed_out:
            self._time_out()
        grace = self._context.patience.grace
        self._doubt = asyncio.get_running_loop().call_later(grace, self._give_up)

    def _give_up(self) -> None:
        self._given_up = True
        if self._settled is not None and not self._settled.expired():
            self._settled.reschedule(asyncio.get_running_loop().time())

    def _end_doubt(self) -> None:
        """FAL's status says again where the request is."""
        doubt, self._doubt = self._doubt, None
        if doubt is not None:
            doubt.cancel()

    async def _never_settled(self) -> ImageFailure | FalCancelled:
        """What ends a request whose result never came, though FAL's status said that it has ended."""
        await costs.book_lost(self._context, self._task, self._request)
        words = self._unsettled.error if self._unsettled else None
        said = f" FAL said: {words}" if words else ""
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

    def cancel(self) -> None:
        """Ask FAL to stop, once; the following goes on."""
        if self._cancelling is None:
            self._cancelling = asyncio.create_task(self._cancel())

    async def _cancel(self) -> None:
        tries = 0
        if self._running.timed_out:
            await self._note_timeout()
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
                    self._settle()
                return
            await asyncio.sleep(full_jitter(tries, cap_s=10))
            tries += 1

    def _settle(self) -> None:
        """FAL has completed it: the status has a moment to say so too."""
        self._settle_at = asyncio.get_running_loop().time() + _SETTLE_S
        if self._settled is not None and not self._settled.expired():
            self._settled.reschedule(self._settle_at)

    async def _note_timeout(self) -> None:
        """For another worker that may have to see the end of it."""
        try:
            await steps.note_timeout(self._context.redis, self._task.image_id, self._running.token)
        except (StoreOutage, StaleFence) as error:
            _log.warning("timeout_not_stored", error=str(error))

    def close(self) -> None:
        """Nothing more is to be cancelled."""
        self._end_doubt()
        if self._deadline is not None:
            self._deadline.cancel()
        if self._cancelling is not None:
            self._cancelling.cancel()
