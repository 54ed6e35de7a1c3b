"""One image from the queue to its end: the task `generate_model`.

Each step is a file of its own beside this one. This file holds their order, and what each failure leads to.
Anything that was not bought is tried again; a request that FAL has is followed to its end and booked.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
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
from image2model.fal.errors import UNCONFIRMED, FalCancelled, FalThrottled, to_image_failure
from image2model.fal.prices import is_free
from image2model.generation import costs, loading, steps
from image2model.generation.arrange import CancelledMeanwhile, NotConfirmedYet, arrange_pictures
from image2model.generation.collect import collect
from image2model.generation.context import GenerationContext
from image2model.generation.cutouts import collect_cutout, reuse_cutout
from image2model.generation.fal_time import GenerationClock
from image2model.generation.follow import follow
from image2model.generation.limits import NoDiskSpace
from image2model.generation.loading import Task
from image2model.generation.phases import Advanced
from image2model.generation.reuse import reuse_result
from image2model.generation.submit import submit
from image2model.generation.unconfirmed import confirm_submission
from image2model.queue import circuits
from image2model.queue.circuits import Fault
from image2model.queue.permits import Paused
from image2model.queue.probes import fault_of_post, report, report_endpoint
from image2model.queue.retry import full_jitter, retry_until_stored
from image2model.queue.running import RunningTask
from image2model.storage.errors import StorageError
from image2model.store.connection import StoreOutage
from image2model.telemetry import metrics, tracing

_log = structlog.get_logger(__name__)

AWAITING_CONFIRMATION: Final = "awaiting_confirmation"
"""How a run ended whose image now waits for a client."""
_OUTAGE_PAUSE_S: Final = 1.0
_NO_DISK_SPACE_PAUSE_S: Final = 10.0


async def generate_model(context: GenerationContext, running: RunningTask, image_id: str) -> None:
    """Take one image as far as possible. Raises arq.Retry to run it again later."""
    run = ImageRun(context, running)
    started = time.monotonic()
    outcome = "interrupted"
    try:
        outcome = await run.run()
    except StaleFence as stale:
        outcome = "stale"
        _log.debug("stale_image_released", image_id=image_id, reason=str(stale))
    except Retry:
        outcome = "retry"
        raise
    except (StoreOutage, StorageError) as error:
        outcome = "retry"
        _log.warning("store_or_storage_unavailable", error=str(error))
        raise Retry(defer=_OUTAGE_PAUSE_S) from error
    except Exception:
        outcome = "unexpected"
        raise
    finally:
        elapsed = time.monotonic() - started
        metrics.TASK_DURATION.labels("generate_model", outcome).observe(elapsed)


class ImageRun:
    """One worker's run of one image, for as long as it holds the lease."""

    def __init__(self, context: GenerationContext, running: RunningTask) -> None:
        self._context = context
        self._running = running
        self._image_id = running.task_id
        self._fence = running.token
        self._failed_with = ""

    async def run(self) -> str:
        """Returns the final status. Raises StaleFence and Retry."""
        task = await loading.load(self._context.redis, self._image_id)
        self._clock = GenerationClock(task)
        structlog.contextvars.bind_contextvars(image_id=task.image_id, job_id=task.job_id)
        with _run_span(task) as span:
            try:
                ended = await self._generate(task)
            except NotConfirmedYet:
                self._running.final = True  # the store has released the image
                ended = AWAITING_CONFIRMATION
            except CancelledMeanwhile:
                ended = self._end(task, ImageStatus.CANCELLED)
            span.set(tracing.OUTCOME, ended)
            if self._failed_with:
                span.fail(self._failed_with)
            return ended

    async def _generate(self, task: Task) -> str:
        request = task.request
        try:
            if task.fetch:
                raise _no_address()
            if task.reuse_of:
                return await self._reuse(task)
            request = request or await self._submit(task)
            advanced = await self._finish(task, request)
            if advanced is not None:
                return self._advanced(task, advanced)
        except ImageFailure as failure:
            if request is not None:
                await costs.book_lost(self._context, task, request)  # unless its result is booked already
            return await self._fail(task, failure)
        except FalCancelled as stopped:
            await self._book_reported(task, request, stopped)
            return await self._stopped(task, stopped)
        except FalTransient as failure:
            await self._book_reported(task, request, failure)
            return await self._attempt_failed(task, failure)
        except FalError as failure:
            if request is not None:
                await self._book_end(task, request, failure)
            return await self._fail(task, to_image_failure(failure))
        return self._end(task, ImageStatus.SUCCEEDED)

    def _advanced(self, task: Task, advanced: Advanced) -> str:
        """A phase of the preparation has ended. Raises arq.Retry for the next one."""
        if advanced is Advanced.CANCELLED:
            return self._end(task, ImageStatus.CANCELLED)
        if advanced is Advanced.NO_BUDGET:
            self._failed_with = "budget_exceeded"
            _log.info("image_failed", code=self._failed_with)
            return self._end(task, ImageStatus.FAILED)
        raise Retry(defer=0)

    async def _reuse(self, task: Task) -> str:
        """Take another image's result. Raises arq.Retry if it is gone: then this image runs itself."""
        try:
            if task.phase and not task.reuse_main:
                advanced = await reuse_cutout(self._context, task, self._fence)
                if advanced is not None:
                    return self._advanced(task, advanced)
            elif await reuse_result(self._context, task, self._fence):
                return self._end(task, ImageStatus.SUCCEEDED)
        except StorageError as error:
            _log.warning("result_not_copied", reason=str(error))
            raise Retry(defer=full_jitter(2)) from error
        await steps.give_up_reuse(self._context.redis, self._image_id, self._fence, task)
        raise Retry(defer=0)

    async def _submit(self, task: Task) -> FalRequest:
        if task.posting_at:
            return await confirm_submission(self._context, task, self._fence)
        try:
            arranged = await arrange_pictures(self._context, task, self._fence)
            request = await submit(self._context, arranged, self._running)
        except Paused as paused:
            raise Retry(defer=0) from paused
        except NoDiskSpace as full:
            raise Retry(defer=_NO_DISK_SPACE_PAUSE_S) from full
        except FalEndpointFault as failure:
            raise await self._wait_for_endpoint(task, failure) from failure
        except (FalNotAccepted, FalAccountFault, FalTransient) as failure:
            # nothing was bought
            raise await self._try_later(task, failure) from failure
        except FalAmbiguous as failure:
            metrics.UNCONFIRMED.inc()
            _log.warning("submission_reply_lost", reason=failure.message)
            await report_endpoint(self._context, task.image_id, task.model, fault_of_post(failure), failure)
            marked = await loading.load(self._context.redis, self._image_id)
            self._clock = GenerationClock(marked)
            return await confirm_submission(self._context, marked, self._fence)
        self._clock.accepted()
        return request

    async def _wait_for_endpoint(self, task: Task, failure: FalEndpointFault) -> Exception:
        """The endpoint refuses, and FAL has nothing: the store parks the image when it is released."""
        await report_endpoint(self._context, task.image_id, task.model, Fault.REFUSED, failure)
        await steps.try_again(
            self._context.redis, self._image_id, self._fence, used_attempt=False, endpoint=True
        )
        _log.info("endpoint_refused", model=task.model, reason=failure.message)
        return Retry(defer=0)

    async def _try_later(self, task: Task, failure: FalError) -> Exception:
        """FAL has nothing: try again after a pause, until I2M_START_TIMEOUT is over."""
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

    async def _finish(self, task: Task, request: FalRequest) -> Advanced | None:
        """Follow the request to its end, and take what it made; what comes next where that was a cut-out."""
        posts = self._context.posts
        if task.status is not ImageStatus.STORING:
            await posts.give_way()
            await follow(self._context, task, self._running, request)
            self._clock.ended()
        self._running.release_slot()
        await posts.give_way()
        try:
            with self._clock.counted(self._context.catalogue.current):
                if task.phase:
                    return await collect_cutout(self._context, task, self._fence, request)
                await collect(self._context, task, self._fence, request)
        except FalRejected as refused:
            await self._count_result(task, refused)
            raise
        return None

    async def _count_result(self, task: Task, failure: FalError) -> bool:
        """Count for the endpoint's circuit that its result is a failure. Returns whether it is open now."""
        redis = self._context.redis
        if failure.status is None or failure.status < 500:
            await retry_until_stored(lambda: circuits.note_endpoint_result(redis, self._image_id))
            return False
        return await retry_until_stored(
            lambda: report_endpoint(self._context, task.image_id, task.model, Fault.RESULT, failure)
        )

    async def _book_end(self, task: Task, request: FalRequest, failure: FalError) -> None:
        """Book what a request cost that ended without a result, unless its result is booked already."""
        if not isinstance(failure, FalRejected):
            await costs.book_lost(self._context, task, request)
        elif not is_free(failure):
            # only a model returns 422 as a result: it ran, even if too briefly for us to see
            await costs.book_refusal(self._context, task, request, failure.billable_units, ran=True)

    async def _book_reported(self, task: Task, request: FalRequest | None, failure: FalError) -> None:
        """Book a cancelled or retriable 4xx if FAL reports that it bills it; otherwise it is free."""
        if request is not None and failure.billable_units and not is_free(failure):
            await costs.book_refusal(self._context, task, request, failure.billable_units, ran=False)

    async def _attempt_failed(self, task: Task, failure: FalTransient) -> str:
        """FAL has failed on this attempt: start another paid one, if one is left.

        While the endpoint's circuit is open the attempt does not count: the image waits for the endpoint.
        """
        circuit_open = await self._count_result(task, failure)
        if not circuit_open and task.attempts_used + 1 >= self._context.settings.max_attempts:
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
                    endpoint=circuit_open,
                )
            )
        except NoBudgetLeft as reason:
            _log.info("attempt_refused", reason=str(reason))
            return await self._fail(task, to_image_failure(failure))
        wait = 0.0 if circuit_open else full_jitter(task.attempts_used)
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
        # a webhook, or a worker that was suspended, may bring FAL's id at this moment: then it is followed
        unknown = failure.code == UNCONFIRMED
        error = _image_error(failure)
        await steps.fail(self._context.redis, self._image_id, self._fence, error, unknown=unknown)
        _log.info("image_failed", code=failure.code, reason=failure.message)
        self._failed_with = failure.code
        return self._end(task, ImageStatus.FAILED)

    def _end(self, task: Task, status: ImageStatus) -> str:
        self._running.final = True
        metrics.IMAGES.labels(task.main_model, status.value).inc()
        self._context.on_image_end()
        return status.value


def _no_address() -> ImageFailure:
    """An image that waits for its pictures starts only where nothing can fetch them."""
    return ImageFailure(
        "image_unreadable",
        "The address of this picture is not kept any more, so it cannot be fetched. Send it as a new job.",
        retryable=False,
    )


def _image_error(failure: ImageFailure) -> ImageError:
    return ImageError(failure.code, failure.message, failure.retryable, failure.fal_type)


@contextmanager
def _run_span(task: Task) -> Iterator[tracing.Span]:
    """The span of one run, in the trace of the upload. The caller sets the outcome unless the run raises."""
    attributes: tracing.Attributes = {
        tracing.JOB_ID: task.job_id,
        tracing.IMAGE_ID: task.image_id,
        tracing.MODEL: task.model,
        "image2model.attempt": task.attempt,
    }
    with tracing.span(
        "generate_model",
        kind=tracing.Kind.CONSUMER,
        attributes=attributes,
        parent=task.traceparent,
        expected=(Retry, StaleFence),
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set(tracing.OUTCOME, _outcome_of(error))
            raise


def _outcome_of(error: BaseException) -> str:
    """The same values as the `status` label of `task_duration_seconds`."""
    if isinstance(error, StaleFence):
        return "stale"
    if isinstance(error, (Retry, StoreOutage, StorageError)):
        return "retry"
    return "unexpected" if isinstance(error, Exception) else "interrupted"
