"""Ends an image whose runs of `generate_model` all ended with unexpected errors.

A request that FAL has accepted is booked and stays the image's, so that a retry continues it and pays nothing
again. The error message says what is known about the money.
"""

from typing import Final

from image2model.domain import ImageError, ImageStatus
from image2model.errors import StaleFence
from image2model.generation import costs, loading, steps
from image2model.generation.context import GenerationContext
from image2model.generation.loading import Task
from image2model.queue.retry import retry_until_stored
from image2model.queue.running import RunningTask
from image2model.store.connection import StoreOutage
from image2model.telemetry import metrics
from image2model.telemetry.unexpected import report_unexpected

CODE: Final = "unexpected_error"
_ABOUT: Final = (
    "A fault of this service stopped this picture three times in a row. The worker's log has the traceback "
    "under this image's id (event `unexpected_error`)."
)
_NOTHING_SENT: Final = "Nothing was sent to FAL; a retry may work."
_FAL_HAS_IT: Final = "FAL has accepted the request: a retry continues it first, and pays nothing again."
_IN_DOUBT: Final = (
    "FAL may have accepted the request, and it may have been paid for; a retry would pay again. If FAL still "
    "reports it, it becomes a success by itself."
)


async def fail_unexpected(context: GenerationContext, running: RunningTask, image_id: str) -> None:
    """End the image with `unexpected_error`."""
    try:
        task = await _loaded(context, image_id)
        if task is not None and task.request is not None:
            await costs.book_lost(context, task, task.request)  # unless its result is booked already
        error = ImageError(CODE, f"{_ABOUT} {_money(task)}", retryable=True)
        await steps.fail(context.redis, image_id, running.token, error)
    except StaleFence:
        return  # another process has decided
    running.final = True
    if task is not None:
        metrics.IMAGES.labels(task.main_model, ImageStatus.FAILED.value).inc()


async def _loaded(context: GenerationContext, image_id: str) -> Task | None:
    """The image; None if its record cannot be read, which may be the fault itself."""
    try:
        return await retry_until_stored(lambda: loading.load(context.redis, image_id))
    except (StaleFence, StoreOutage):
        raise
    except Exception as error:  # noqa: BLE001 - reported; the image ends all the same
        report_unexpected("generate_model", error, image_id=image_id)
        return None


def _money(task: Task | None) -> str:
    if task is None:
        return "The log shows whether anything was sent to FAL."
    if task.request is not None:
        return _FAL_HAS_IT
    return _IN_DOUBT if task.posting_at else _NOTHING_SENT
