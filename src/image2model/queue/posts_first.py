"""POSTs come first: what follows a request or takes its result waits while the event loop is busy with
images on their way to their POST.

A permit that is free costs time of FAL's; a result loses nothing by some tenths of a second. Where many
requests end together, their results used to keep the next POSTs waiting. Whoever has less urgent work calls
`give_way` before it. A loop that has time lets a few on at once, so nothing waits for the network alone.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LONGEST_S: Final = 0.25
"""How long less urgent work waits at most."""
_TICK_S: Final = 0.005
_LATE_S: Final = 0.002
"""A loop that wakes so much too late from a tick has other work."""
_AT_ONCE: Final = 2
"""How many go on after a tick in which the loop was idle: what they do fills about the next one."""


class _Waiter:
    """Who gives way: until when, and the future that ends it."""

    __slots__ = ("going_on", "until")

    def __init__(self, until: float, going_on: "asyncio.Future[None]") -> None:
        self.until = until
        self.going_on = going_on

    def go_on(self) -> None:
        """Unless it was cancelled."""
        if not self.going_on.done():
            self.going_on.set_result(None)


class PostsFirst:
    """The POSTs of one process that are due. It belongs to one event loop."""

    def __init__(self) -> None:
        self._due = 0
        self._waiters: deque[_Waiter] = deque()
        self._ticking: asyncio.Task[None] | None = None

    @contextmanager
    def due(self) -> Iterator[None]:
        """An image is on its way to its POST within the block."""
        self.add(1)
        try:
            yield
        finally:
            self.add(-1)

    def add(self, count: int) -> None:
        """So many more are due, or fewer: an image for which no permit is free is not."""
        self._due += count

    async def give_way(self) -> None:
        """Return once no POST is due, or the loop has time for it, or after `LONGEST_S`."""
        if self._due <= 0 and not self._waiters:
            return
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop.time() + LONGEST_S, loop.create_future())
        self._waiters.append(waiter)
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick_until_empty())
        await waiter.going_on

    def close(self) -> None:
        """Let nobody on any more."""
        if self._ticking is not None:
            self._ticking.cancel()

    async def _tick_until_empty(self) -> None:
        clock = asyncio.get_running_loop().time
        try:
            while self._waiters:
                began = clock()
                await asyncio.sleep(_TICK_S)
                now = clock()
                room = _AT_ONCE if now - began < _TICK_S + _LATE_S else 0
                while self._waiters and (self._due <= 0 or room > 0 or self._waiters[0].until <= now):
                    self._waiters.popleft().go_on()
                    room -= 1
        finally:
            self._ticking = None
