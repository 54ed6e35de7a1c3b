"""How fast pictures end, and from that how long the rest takes at that rate.

Who calls it: the live board. It measures this run alone, and says nothing before it has seen enough.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

_WINDOW_SECONDS: Final = 60.0
_ENOUGH: Final = 5
_ENOUGH_SECONDS: Final = 3.0


class Pace:
    """`ended` is called for each picture that ends in this run, `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends: deque[float] = deque()

    def ended(self) -> None:
        """One more."""
        self._ends.append(self._clock())

    def rate(self) -> float | None:
        """Pictures a second over the last minute; None before five have ended over at least three seconds."""
        now = self._clock()
        while self._ends and now - self._ends[0] > _WINDOW_SECONDS:
            self._ends.popleft()
        spent = now - self._ends[0] if self._ends else 0.0
        if len(self._ends) < _ENOUGH or spent < _ENOUGH_SECONDS:
            return None
        return (len(self._ends) - 1) / spent

    def words(self, remaining: int) -> str:
        """`41/min, about 1 min 20 s left`; empty where nothing is known."""
        rate = self.rate()
        if rate is None or not remaining:
            return ""
        shown = f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.0f}/min"
        return f"{shown}, about {clock(remaining / rate)} left"


def clock(seconds: float) -> str:
    """`0:09`, `12:30`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
