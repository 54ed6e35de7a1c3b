"""A bound on the bytes that a worker holds: pictures on their way to FAL, results on their way back.

Who calls it: `submit` and `collect`. Their number says nothing: a thousand pictures may be small, and ten
results a gigabyte.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class MemoryBudget:
    """`total` bytes at once, first come, first served. Belongs to one event loop."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Wait for `size` bytes. What is larger than all of it gets all of it, and is held alone."""
        size = min(size, self._total)
        await self._take(size)
        try:
            yield
        finally:
            self._give(size)

    async def _take(self, size: int) -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, answer))
        self._serve()
        try:
            await answer
        except asyncio.CancelledError:
            # cancelled in the turn of the loop in which it was served
            if not answer.cancelled():
                self._give(size)
            self._serve()
            raise

    def _give(self, size: int) -> None:
        self._held -= size
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            size, answer = self._waiting[0]
            if not answer.done():
                if self._held + size > self._total:
                    return
                self._held += size
                answer.set_result(None)
            self._waiting.popleft()
