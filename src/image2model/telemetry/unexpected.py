"""An error that nobody expected, told in one way wherever it is met.

Who calls it: whatever must go on after such an error, or ends because of it. Operators search the log for the
event `unexpected_error`, and an alert watches the metric.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from image2model.telemetry.metrics import UNEXPECTED_ERRORS

_log: Final = structlog.stdlib.get_logger(__name__)


def report_unexpected(task: str, error: BaseException, **about: object) -> None:
    """Count it, and log it with its traceback. `task`: where it happened, one of few names."""
    UNEXPECTED_ERRORS.labels(task).inc()
    _log.error("unexpected_error", task=task, **about, exc_info=error)


GAPS_S: Final = (0.1, 0.5, 2.0, 8.0)
"""Seconds before each new start; the error after the last one is raised."""
STEADY_S: Final = 60.0
"""A loop that has run for so long has left its earlier failures behind."""


async def kept_running(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run the loop until it returns or is cancelled. Raises its error once it is hopeless."""
    failures = 0
    while True:
        began = time.monotonic()
        try:
            await loop()
        except Exception as error:
            failures = 1 if time.monotonic() - began > STEADY_S else failures + 1
            hopeless = failures > len(GAPS_S)
            report_unexpected(f"loop:{name}", error, failures=failures, hopeless=hopeless)
            if hopeless:
                raise
        else:
            return
        await asyncio.sleep(GAPS_S[failures - 1])
