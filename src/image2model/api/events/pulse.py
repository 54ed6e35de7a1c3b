"""One clock for all subscribers: a comment every 15 s, and an end for those who do not read.

Who calls it: the relay runs it. A timer for each client would cost more than the clients do.
"""

import asyncio
import time
from collections.abc import Iterator
from itertools import cycle
from typing import Final

from image2model.api.events.subscriber import Subscriber

COMMENT_S: Final = 15.0
_TICK_S: Final = 0.05
"""Short, so that the comments of a crowd do not hold up an event."""


class Pulse:
    """A wheel of slots, each of which has its turn once in `comment_s`; `writers` are those being sent to."""

    def __init__(self, *, send_timeout_s: float, comment_s: float = COMMENT_S) -> None:
        self.writers: set[Subscriber] = set()
        self._send_timeout_s = send_timeout_s
        self._slots: list[set[Subscriber]] = [set() for _ in range(max(1, round(comment_s / _TICK_S)))]
        self._next_slot: Iterator[int] = cycle(range(len(self._slots)))

    def add(self, subscriber: Subscriber) -> None:
        """Take part: evenly over the slots, so that a crowd that came at once is not sent to at once."""
        subscriber.slot = next(self._next_slot)
        self._slots[subscriber.slot].add(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        """Take part no longer."""
        self._slots[subscriber.slot].discard(subscriber)

    def everybody(self) -> list[Subscriber]:
        """All who take part."""
        return [subscriber for slot in self._slots for subscriber in slot]

    async def run(self) -> None:
        """Tick until cancelled."""
        for slot in cycle(self._slots):
            await asyncio.sleep(_TICK_S)
            self._cut_stuck()
            for subscriber in list(slot):
                subscriber.ping()

    def _cut_stuck(self) -> None:
        limit = time.monotonic() - self._send_timeout_s
        for subscriber in [s for s in self.writers if s.writing_since < limit]:
            subscriber.cut()
