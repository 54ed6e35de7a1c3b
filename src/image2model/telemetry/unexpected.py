"""Unexpected errors, reported in one way everywhere; and background loops that are restarted after them.

Operators search the log for the event `unexpected_error`, and an alert watches the metric.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from image2model.telemetry.metrics import UNEXPECTED_ERRORS

_log: Final = structlog.stdlib.get_logger(__name__)
RESTART_DELAYS_S: Final = (0.1, 0.5, 2.0, 8.0)
"""Seconds before each restart; an error after the last restart is raised."""
STEADY_AFTER_S: Final = 60.0
"""After a run of so many seconds, earlier failures no longer count."""


def report_unexpected(task: str, error: BaseException, **fields: object) -> None:
    """Count an error and log it with its traceback. `task`: where it happened, one of a few names."""
    UNEXPECTED_ERRORS.labels(task).inc()
    _log.error("unexpected_error", task=task, **fields, exc_info=error)


async def keep_running(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop until it returns or is cancelled, and restart it after errors. Raises the last error."""
    failures = 0
    while True:
        began = time.monotonic()
        try:
            await loop()
        except Exception as error:
            failures = 1 if time.monotonic() - began > STEADY_AFTER_S else failures + 1
            gives_up = failures > len(RESTART_DELAYS_S)
            report_unexpected(f"loop:{name}", error, failures=failures, gives_up=gives_up)
            if gives_up:
                raise
        else:
            return
        await asyncio.sleep(RESTART_DELAYS_S[failures - 1])
