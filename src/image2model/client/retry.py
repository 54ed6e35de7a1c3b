"""How long to wait before a call is made again, and until when that is worth it.

Who calls it: the transport and the event stream.
"""

import asyncio
import random
import time
from typing import Final

_BASE: Final = 0.25
_CAP: Final = 15.0


class Patience:
    """Tries until `seconds` have passed; `pause` sleeps with exponential backoff and full jitter."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.begin_again()

    def begin_again(self) -> None:
        """Forget the failures so far: something has worked."""
        self._deadline = time.monotonic() + self.seconds
        self._failures = 0

    @property
    def left(self) -> float:
        """Seconds until patience ends; never negative."""
        return max(0.0, self._deadline - time.monotonic())

    async def pause(self, told: float | None = None) -> bool:
        """Sleep before the next try: `told` seconds where the service named them. False: no time is left."""
        self._failures += 1
        backoff = random.uniform(0, min(_CAP, _BASE * 2**self._failures))  # noqa: S311 - jitter
        wait = told + random.uniform(0, _BASE) if told is not None else backoff  # noqa: S311
        if wait >= self.left:
            return False
        await asyncio.sleep(wait)
        return True
