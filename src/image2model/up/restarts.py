"""When a process that dies is to be started again: at once, and ever more slowly when it keeps dying.

Who calls it: what keeps the children and the store of `up` running.
"""

import time
from typing import Final

_FIRST_DELAY: Final = 0.2
_LONGEST_DELAY: Final = 10.0
_STEADY_SECONDS: Final = 30.0


class Restarts:
    """Of one process. `deaths` counts those in a row; half a minute of life forgets them."""

    def __init__(self) -> None:
        self.deaths = 0
        self._began = 0.0
        self._due = 0.0

    @property
    def due_in(self) -> float:
        """Seconds until it is to be started again."""
        return max(0.0, self._due - time.monotonic())

    def began(self) -> None:
        """It has been started."""
        self._began = time.monotonic()

    def died(self) -> None:
        """It has ended, and nobody had asked it to."""
        now = time.monotonic()
        self.deaths = 1 if now - self._began > _STEADY_SECONDS else self.deaths + 1
        self._due = now + min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (self.deaths - 1))
