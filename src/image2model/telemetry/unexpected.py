"""An error that nobody expected, told in one way wherever it is met.

Who calls it: whatever must go on after such an error, or ends because of it. Operators search the log for the
event `unexpected_error`, and an alert watches the metric.
"""

from typing import Final

import structlog

from image2model.telemetry.metrics import UNEXPECTED_ERRORS

_log: Final = structlog.stdlib.get_logger(__name__)


def tell_unexpected(task: str, error: BaseException, **about: object) -> None:
    """Count it, and log it with its traceback. `task`: where it happened, one of few names."""
    UNEXPECTED_ERRORS.labels(task).inc()
    _log.error("unexpected_error", task=task, **about, exc_info=error)
