"""The span of one run of `generate_model`, in the trace of the upload that the image came by.

Who calls it: `generate`. An image that runs again (a retry, a lost worker) has one for each run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from arq.worker import Retry

from image2model.errors import StaleFence
from image2model.generation.steps import Task
from image2model.storage.errors import StorageError
from image2model.store.connection import StoreOutage
from image2model.telemetry import metrics, tracing

_AGAIN: Final = (Retry, StoreOutage, StorageError)


@contextmanager
def run_span(task: Task) -> Iterator[tracing.Span]:
    """Open for the run; the caller sets the outcome where it returns, here it is where it raises."""
    about: tracing.Attributes = {
        tracing.JOB_ID: task.job_id,
        tracing.IMAGE_ID: task.image_id,
        tracing.MODEL: task.model,
        "image2model.attempt": task.attempt,
    }
    with tracing.span(
        "generate_model",
        kind=tracing.Kind.CONSUMER,
        attributes=about,
        parent=task.traceparent,
        expected=(Retry, StaleFence),
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set(tracing.OUTCOME, _outcome(error))
            raise


def _outcome(error: BaseException) -> str:
    """The word that the metrics have for it."""
    if isinstance(error, StaleFence):
        return "stale"
    if isinstance(error, _AGAIN):
        return "retry"
    return "unexpected" if isinstance(error, Exception) else "interrupted"


_NO_FAULT: Final = frozenset({"ok", "abandoned", "cancelled", "unfinished"})


def observe(operation: str, outcome: str, seconds: float) -> None:
    """See `fal.observer.Observer`."""
    metrics.FAL_REQUESTS.labels(operation, outcome).inc()
    metrics.FAL_LATENCY.labels(operation).observe(seconds)
    tracing.record(
        f"fal.{operation}",
        seconds,
        kind=tracing.Kind.CLIENT,
        attributes={"peer.service": "fal", tracing.OUTCOME: outcome},
        error_type=None if outcome in _NO_FAULT else outcome,
    )
