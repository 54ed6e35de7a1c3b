"""How many bytes a worker holds of what waits on the network: pictures on their way to FAL, models from it.

Who calls it: `submit` and `collect`, around all that keeps such bytes alive. The number of images at work
says nothing of memory: with a hundred slots, pictures of 15 MB took 2.7 GB.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec


class ByteBudget:
    """`most` bytes, held in the order of asking. What is larger than all of it gets all of it, alone.

    Belongs to one event loop. Who holds some must not ask for more: two such would wait for each other.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = most
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Wait until so many bytes are free, and keep them for the length of the block."""
        size = min(size, self._most)
        await self._take(size)
        try:
            yield
        finally:
            self._give_back(size)

    async def _take(self, size: int) -> None:
        if not self._waiting and size <= self._free:
            self._free -= size
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            granted = not turn.cancelled()  # in the same moment
            self._give_back(size if granted else 0)
            raise

    def _give_back(self, size: int) -> None:
        """And let in those whose turn it is. Nobody passes a larger one, which would wait for ever."""
        self._free += size
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.done() and wanted > self._free:
                return
            self._waiting.popleft()
            if not turn.done():
                self._free -= wanted
                turn.set_result(None)


class FilePatience(msgspec.Struct, frozen=True):
    """Seconds, and numbers of tries.

    `grace`: for how long FAL may deny a result or a model, from the first time on, before it is believed.
    `model`: for how long a result or a model that cannot be reached is tried: FAL keeps a small result for an
    hour, one of 10 KB or more for minutes. `silence`: how long a file beside the model may bring no byte,
    `side`: how long it may take.
    `side_tries` bounds the tries of such a file, `cut_tries` those of a GLB that is shorter than it says.
    """

    grace: float
    model: float = 1800.0
    side: float = 3600.0
    silence: float = 30.0
    side_tries: int = 4
    cut_tries: int = 3
    longest_pause: float = 10.0
