"""One image from the queue to its end: the task `generate_model`.

Who calls it: ARQ, through the dispatcher. Each step is a file of its own beside this one; here is only
their order, and what becomes of each failure (design: "The call that costs money").
"""

import time
from typing import Final

import structlog
from arq.worker import Retry

from image2model.domain import FalRequest, ImageError, ImageStatus
from image2model.errors import (
    FalAccountFault,
    FalAmbiguous,
    FalEndpointFault,
    FalError,
    FalNotAccepted,
    FalRejected,
    FalTransient,
    ImageFailure,
    NoBudgetLeft,
    StaleFence,
)
from image2model.fal.endpoints import endpoint_of
from image2model.fal.errors import UNCONFIRMED, FalCancelled, FalThrottled, to_image_failure
from image2model.fal.prices import is_free
from image2model.generation import costs, steps
from image2model.generation.collect import collect
from image2model.generation.context import GenerationContext
from image2model.generation.disk_space import NoDiskSpace
from image2model.generation.follow import follow
from image2model.generation.observe import run_span
from image2model.generation.reuse import take_result
from image2model.generation.steps import Task
from image2model.generation.submit import commit, look_up, next_look_s, submit
from image2model.queue import circuits
from image2model.queue.circuits import Fault
from image2model.queue.permits import Paused
from image2model.queue.probes import fault_of_post, report, report_endpoint
from image2model.queue.retry import full_jitter, retry_until_stored
from image2model.queue.running import RunningTask
from image2model.storage.errors import StorageError
from image2model.store.connection import StoreOutage
from image2model.telemetry import metrics, tracing

_log = structlog.get_logger("worker.generate")

_AWAY_S: Final = 1.0
_NO_DISK_SPACE_S: Final = 10.0


async def generate_model(context: GenerationContext, running: RunningTask, image_id: str) -> None:
    """Take one image as far as it goes. Raises arq.Retry to have it again later."""
    run = ImageRun(context, running)
    started = time.monotonic()
    outcome = "interrupted"
    try:
        outcome = await run.go()
    except StaleFence as stale:
        outcome = "stale"
        _log.debug("stale_image_released", image_id=image_id, reason=str(stale))
    except Retry:
        outcome = "retry"
        raise
    except (StoreOutage, StorageError) as error:
        outcome = "retry"
        _log.warning("store_or_storage_not_answering", error=str(error))
        raise Retry(defer=_AWAY_S) from error
    except Exception:
        outcome = "unexpected"
        raise
    finally:
        elapsed = time.monotonic() - started
        metrics.TASK_DURATION.labels("generate_model", outcome).observe(elapsed)


class ImageRun:
    """One holder's work on one image."""

    def __init__(self, context: GenerationContext, running: RunningTask) -> None:
        self._context = context
        self._running = running
        self._image_id = running.task_id
        self._fence = running.token
        self._failed_with = ""

    async def go(self) -> str:
        """Returns the final status. Raises StaleFence and Retry."""
        task = await steps.load(self._context.redis, self._image_id)
        structlog.contextvars.bind_contextvars(image_id=task.image_id, job_id=task.job_id)
        with run_span(task) as span:
            ended = await self._take_on(task)
            span.set(tracing.OUTCOME, ended)
            if self._failed_with:
                span.fail(self._failed_with)
            return ended

    async def _take_on(self, task: Task) -> str:
        request = task.request
        try:
            if task.reuse_of and await self._reuse(task):
                return self._end(task, ImageStatus.SUCCEEDED)
            request = request or await self._submit(task)
            await self._finish(task, request)
        except ImageFailure as failure:
            if request is not None:
                await costs.book_lost(self._context, task, request)  # unless its result is booked already
            return await self._fail(task, failure)
        except FalCancelled as stopped:
            await self._book_words(task, request, stopped)
            return await self._stopped(task, stopped)
        except FalTransient as failure:
            await self._book_words(task, request, failure)
            return await self._attempt_failed(task, failure)
        except FalError as failure:
            if request is not None:
                await self._book_end(task, request, failure)
            return await self._fail(task, to_image_failure(failure))
        return self._end(task, ImageStatus.SUCCEEDED)

    async def _book_end(self, task: Task, request: FalRequest, failure: FalError) -> None:
        """Book what FAL took for a request that ended without a result, unless its result is booked."""
        if not isinstance(failure, FalRejected):
            await costs.book_lost(self._context, task, request)
        elif not is_free(failure):
            # Only a model gives a 422 as a result: it ran, even where it was too quick for us to see that.
            await costs.book_refusal(self._context, task, request, failure.billable_units, ran=True)

    async def _book_words(self, task: Task, request: FalRequest | None, failure: FalError) -> None:
        """Book a cancelled or retriable 4xx where FAL says that it bills it; else it is free."""
        if request is not None and failure.billable_units and not is_free(failure):
            await costs.book_refusal(self._context, task, request, failure.billable_units, ran=False)

    async def _reuse(self, task: Task) -> bool:
        """Take another image's result. Raises arq.Retry where it is gone: then this image runs itself."""
        try:
            if await take_result(self._context, task, self._fence):
                return True
        except StorageError as error:
            _log.warning("result_not_copied", reason=str(error))
            raise Retry(defer=full_jitter(2)) from error
        await steps.give_up_reuse(self._context.redis, self._image_id, self._fence, task)
        raise Retry(defer=0)

    async def _submit(self, task: Task) -> FalRequest:
        if task.posting_at:
            return await self._confirm(task)
        try:
            return await submit(self._context, task, self._running)
        except Paused as paused:
            raise Retry(defer=0) from paused
        except NoDiskSpace as full:
            raise Retry(defer=_NO_DISK_SPACE_S) from full
        except FalEndpointFault as failure:
            raise await self._wait_for_endpoint(task, failure) from failure
        except (FalNotAccepted, FalAccountFault, FalTransient) as failure:
            # nothing was bought
            raise await self._try_later(task, failure) from failure
        except FalAmbiguous as failure:
            metrics.UNCONFIRMED.inc()
            _log.warning("submission_reply_lost", reason=failure.message)
            await report_endpoint(self._context, task.image_id, task.model, fault_of_post(failure), failure)
            return await self._confirm(await steps.load(self._context.redis, self._image_id))

    async def _confirm(self, task: Task) -> FalRequest:
        """FAL may have it: find it, or look again later; never send it again unasked."""
        context, settings = self._context, self._context.settings
        if request := await look_up(context, task):
            return await commit(context, task, self._fence, task.attempt_token, request)
        if (wait := next_look_s(task, settings.unconfirmed_grace)) is not None:
            # also where another process sent it: nothing else says why it stands still
            _log.info("submission_unconfirmed", posted_at=task.posting_at, look_again_s=round(wait, 1))
            raise Retry(defer=wait)
        attempts_left = task.attempts_used + 1 < settings.max_attempts
        if settings.on_unconfirmed == "resubmit" and attempts_left and not task.cancel_requested:
            await self._resubmit()
        raise to_image_failure(
            FalAmbiguous(
                "The reply to the submit was lost, and FAL does not list the request. It may have been paid "
                "for; a retry would pay again. If FAL still reports it, it becomes a success by itself."
            )
        )

    async def _resubmit(self) -> None:
        """Raises arq.Retry. Returns where the budget holds no second submit: the first may yet be billed."""
        try:
            await steps.try_again(
                self._context.redis, self._image_id, self._fence, used_attempt=True, unknown=True
            )
        except NoBudgetLeft as reason:
            _log.info("resubmit_refused", reason=str(reason))
            return
        raise Retry(defer=0)

    async def _finish(self, task: Task, request: FalRequest) -> None:
        endpoint = endpoint_of(task.model)
        if task.status is not ImageStatus.STORING:
            await follow(self._context, task, self._running, request)
        self._running.release_slot()
        try:
            await collect(self._context, task, self._fence, request, endpoint)
        except FalRejected as refused:
            await self._count_result(task, refused)
            raise

    async def _count_result(self, task: Task, failure: FalError) -> bool:
        """What a result that is a failure says of the endpoint; whether its circuit is open now."""
        redis = self._context.redis
        if failure.status is None or failure.status < 500:
            await retry_until_stored(lambda: circuits.note_endpoint_result(redis, self._image_id))
            return False
        return await retry_until_stored(
            lambda: report_endpoint(self._context, task.image_id, task.model, Fault.RESULT, failure)
        )

    async def _wait_for_endpoint(self, task: Task, failure: FalEndpointFault) -> Exception:
        """The endpoint refuses, and nothing is at FAL: the store parks the image when it is let go of."""
        await report_endpoint(self._context, task.image_id, task.model, Fault.REFUSED, failure)
        await steps.try_again(
            self._context.redis, self._image_id, self._fence, used_attempt=False, endpoint=True
        )
        _log.info("endpoint_refused", model=task.model, reason=failure.message)
        return Retry(defer=0)

    async def _try_later(self, task: Task, failure: FalError) -> Exception:
        """Nothing is at FAL: again after a pause, until the time to start is over."""
        settings = self._context.settings
        throttled = isinstance(failure, FalThrottled)
        paused = not throttled and await report(self._context, failure)
        queued = await steps.try_again(
            self._context.redis,
            self._image_id,
            self._fence,
            used_attempt=False,
            start_timeout_s=settings.start_timeout,
        )
        if not queued:
            return ImageFailure(
                "generation_failed",
                f"FAL did not accept it within {settings.start_timeout:.0f} s: {failure.message}",
                retryable=True,
                fal_type=failure.fal_type,
            )
        wait = 0.0 if paused else full_jitter(task.start_tries)
        if isinstance(failure, FalThrottled) and failure.retry_after:
            wait = max(wait, failure.retry_after)
        _log.info("submission_refused", wait_s=round(wait, 2), reason=failure.message)
        return Retry(defer=wait)

    async def _attempt_failed(self, task: Task, failure: FalTransient) -> str:
        """FAL failed for good on this attempt: another paid one, if there is one left.

        While the endpoint fails for everybody the attempt costs the image nothing: it waits for the endpoint.
        """
        refused = await self._count_result(task, failure)
        if not refused and task.attempts_used + 1 >= self._context.settings.max_attempts:
            return await self._fail(task, to_image_failure(failure))
        error = _image_error(to_image_failure(failure))
        try:
            await retry_until_stored(
                lambda: steps.try_again(
                    self._context.redis,
                    self._image_id,
                    self._fence,
                    used_attempt=True,
                    error=error,
                    endpoint=refused,
                )
            )
        except NoBudgetLeft as reason:
            _log.info("attempt_refused", reason=str(reason))
            return await self._fail(task, to_image_failure(failure))
        wait = 0.0 if refused else full_jitter(task.attempts_used)
        _log.info("attempt_failed", wait_s=round(wait, 2), reason=failure.message)
        raise Retry(defer=wait)

    async def _stopped(self, task: Task, stopped: FalCancelled) -> str:
        """FAL obeyed a cancel: a client's, or ours after I2M_TASK_TIMEOUT."""
        if self._running.cancel_requested or task.cancel_requested:
            await retry_until_stored(
                lambda: steps.move(self._context.redis, self._image_id, self._fence, ImageStatus.CANCELLED)
            )
            return self._end(task, ImageStatus.CANCELLED)
        if self._running.timed_out or task.timed_out:
            limit = self._context.settings.task_timeout
            message = f"The generation ran longer than {limit:.0f} s (I2M_TASK_TIMEOUT) and was cancelled."
            return await self._fail(task, ImageFailure("generation_timeout", message, retryable=True))
        return await self._fail(task, ImageFailure("generation_failed", stopped.message, retryable=True))

    async def _fail(self, task: Task, failure: ImageFailure) -> str:
        # a webhook, or a worker that slept, may bring FAL's id at this moment: then it is followed
        unknown = failure.code == UNCONFIRMED
        await retry_until_stored(
            lambda: steps.fail(
                self._context.redis, self._image_id, self._fence, _image_error(failure), unknown=unknown
            )
        )
        _log.info("image_failed", code=failure.code, reason=failure.message)
        self._failed_with = failure.code
        return self._end(task, ImageStatus.FAILED)

    def _end(self, task: Task, status: ImageStatus) -> str:
        self._running.final = True
        metrics.IMAGES.labels(task.model, status.value).inc()
        return status.value


def _image_error(failure: ImageFailure) -> ImageError:
    return ImageError(failure.code, failure.message, failure.retryable, failure.fal_type)
