"""Whether the fleet has anything to keep up, for the loops that do so twice a second.

A service that has nothing to do asks the store one question a second. A notification, and each task that this
process claims, ends that at once. Where the fleet has something to keep up, one process at a time does it.
"""

import asyncio
import random
import time
from typing import Final

from redis.asyncio import Redis

from image2model.store import arq_keys
from image2model.store.connection import command
from image2model.store.keys import Queue, key

_IDLE_S: Final = 1.0
"""Between two looks of an idle process. A task whose worker died is missed for no longer than that."""
_LOOKERS: Final = 10
"""How many workers may look once a second. More of them look as much less often, so that the whole fleet
asks as often as these."""
_LONGEST_S: Final = 10.0
_FRESH_S: Final = 0.2
"""How long an answer holds."""
_TURN_MS: Final = 400
"""How long a turn is one process's: less than a busy loop pauses, so that a process alone gets each."""
_HAS_TURN_S: Final = 0.75
"""How long a process that has taken a turn does what else belongs to it: until it takes the next one."""

_SIGNS: Final = (
    arq_keys.queue_key(Queue.GENERATION),  # every unfinished image is in it
    key("unfinished"),
    key("permits"),
    key("ahead"),
    key("fal_running"),
    key("fal_waiting"),
    key("pause", Queue.GENERATION.value),
    key("endpoints"),
    key("confirmations"),
    *(key("leases", queue.value) for queue in Queue),
)
"""The store drops each of these keys with its last member."""


class Activity:
    """What one process knows of it. `workers`: how many the fleet has. It belongs to one event loop."""

    def __init__(self, redis: Redis) -> None:
        self.workers = 1
        self._redis = redis
        self._idle = False
        self._others_do = False
        self._asked_at = -_FRESH_S
        self._turn_at = -_HAS_TURN_S
        self._noticed = asyncio.Event()
        self.turn = asyncio.Event()
        """Set when this process has taken a turn; the task that waits for it clears it."""

    @property
    def share(self) -> float:
        """How many times longer this process may rest than it would in a small fleet, at least 1."""
        return max(self.workers / _LOOKERS, 1.0)

    @property
    def has_turn(self) -> bool:
        """Whether this process does the fleet's upkeep."""
        return time.monotonic() - self._turn_at < _HAS_TURN_S

    def notice(self) -> None:
        """Something happens: the next look asks the store, and no loop waits longer than usual for it."""
        self._idle = self._others_do = False
        self._asked_at = -_FRESH_S
        self._noticed.set()

    async def is_idle(self) -> bool:
        """Whether nothing is queued, running, paused or waited for, anywhere. Raises StoreOutage."""
        if time.monotonic() - self._asked_at >= _FRESH_S:
            self._noticed.clear()
            found = await command(self._redis, "EXISTS", *_SIGNS)
            if not self._noticed.is_set():
                self._idle = found == 0
                self._asked_at = time.monotonic()
        return self._idle

    async def take_turn(self) -> bool:
        """Whether this process does the fleet's upkeep now. Raises StoreOutage."""
        taken = await command(self._redis, "SET", key("upkeep"), 1, "NX", "PX", _TURN_MS)
        self._others_do = not taken
        if taken:
            if not self.has_turn:
                self._noticed.set()  # the other loop has a part in it
            self._turn_at = time.monotonic()
            self.turn.set()
        return bool(taken)

    async def pause(self, busy_s: float) -> None:
        """Wait for `busy_s`. If the service is idle, or another process has had the last turn, wait while
        nothing is noticed for about a second, or longer in a large fleet.
        """
        if not self._idle and not self._others_do:
            await asyncio.sleep(busy_s)
            return
        # so that workers that were started together do not look together
        pause_s = min(_IDLE_S * self.share, _LONGEST_S) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
        try:
            async with asyncio.timeout(pause_s):
                await self._noticed.wait()
        except TimeoutError:
            return
