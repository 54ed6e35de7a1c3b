"""Whether the fleet has anything to keep up, for the loops that do so twice a second.

A service that has nothing to do asks the store one question a second. A notification, and each task that this
process claims, ends that at once.
"""

import asyncio
import time
from typing import Final

from redis.asyncio import Redis

from image2model.store import arq_keys
from image2model.store.connection import command
from image2model.store.keys import Queue, key

_IDLE_S: Final = 1.0
"""Between two looks of an idle process. A task whose worker died is missed for no longer than that."""
_FRESH_S: Final = 0.2
"""How long an answer holds, since several loops ask."""

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
    """What one process knows of it. It belongs to one event loop."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._idle = False
        self._asked_at = -_FRESH_S
        self._noticed = asyncio.Event()

    def notice(self) -> None:
        """Something happens: the next look asks the store, and no loop waits longer than usual for it."""
        self._idle = False
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

    async def pause(self, busy_s: float) -> None:
        """Wait for `busy_s`, or while nothing is noticed for at most a second if the service is idle."""
        if not self._idle:
            await asyncio.sleep(busy_s)
            return
        try:
            async with asyncio.timeout(_IDLE_S):
                await self._noticed.wait()
        except TimeoutError:
            return
