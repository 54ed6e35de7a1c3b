"""The loops that run beside a process's work: restarted after an error that nobody expected, within a bound.

Who calls it: the worker and the API, around each such loop. A loop deals with outages itself. What it did
not expect is logged with its traceback and counted, and the loop starts again, because a fault in one of
them should not stop what goes well. One that fails again and again is hopeless, and a process without it
is only half alive (leases not renewed, events not heard): then the error is raised, and the caller ends
the process, which whoever supervises it starts anew.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from image2model.telemetry.unexpected import tell_unexpected

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
            tell_unexpected(f"loop:{name}", error, failures=failures, hopeless=hopeless)
            if hopeless:
                raise
        else:
            return
        await asyncio.sleep(GAPS_S[failures - 1])
