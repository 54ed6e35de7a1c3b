"""Cold starts: an endpoint that nobody has used for a while has no runner, and its first request waits.

The runners ask before each start, and report each start and end. Times are the event loop's, in seconds.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

KEPT_WARM = 10.0
"""How long an idle endpoint keeps its runners."""


class Warmth:
    """Which endpoints have runners. `cold_start`: how long it takes to get one; 0: always warm."""

    def __init__(self, cold_start: float, warmed: Callable[[], None]) -> None:
        self.cold_start = cold_start
        self._warmed = warmed
        self._running: Counter[str] = Counter()
        self._warm_until: dict[str, float] = {}
        self._starting: set[str] = set()

    def is_warm(self, endpoint_id: str) -> bool:
        """Whether a request can start now. If not, a runner is being started for it."""
        if not self.cold_start or self._running[endpoint_id]:
            return True
        if self._now() < self._warm_until.get(endpoint_id, 0):
            return True
        if endpoint_id not in self._starting:
            self._starting.add(endpoint_id)
            asyncio.get_running_loop().call_later(self.cold_start, self._warm, endpoint_id)
        return False

    def started(self, endpoint_id: str) -> None:
        """One of its requests runs."""
        self._running[endpoint_id] += 1

    def ended(self, endpoint_id: str) -> None:
        """One of its requests runs no longer."""
        self._running[endpoint_id] -= 1
        self._warm_until[endpoint_id] = self._now() + KEPT_WARM

    def _warm(self, endpoint_id: str) -> None:
        self._starting.discard(endpoint_id)
        self._warm_until[endpoint_id] = self._now() + KEPT_WARM
        self._warmed()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
