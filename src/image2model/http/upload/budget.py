"""How many bytes of uploads one process holds at once, and who waits when that is reached.

Who calls it: the reader, once for each upload. Bytes are reserved as they arrive. The oldest upload may
always proceed, even over the total: were it to wait, uploads that each hold half of what they need
would wait for each other for ever. The others wait in the order they came to the limit.
"""

import asyncio
from collections import deque
from types import TracebackType
from typing import Self


class UploadBudget:
    """A process-wide count of held bytes. Belongs to one event loop."""

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self.held = 0
        self._open: dict[Reservation, None] = {}
        self._waiting: deque[Reservation] = deque()

    def open(self) -> "Reservation":
        """A new upload's place in the order; a context manager that gives back all it holds."""
        reservation = Reservation(self)
        self._open[reservation] = None
        return reservation

    @property
    def waiting(self) -> int:
        """How many uploads wait for bytes."""
        return len(self._waiting)

    def is_oldest(self, reservation: "Reservation") -> bool:
        """Whether no upload that still runs began earlier."""
        return reservation is next(iter(self._open), None)

    def may_take(self, reservation: "Reservation", size: int) -> bool:
        """Whether these bytes may be held now, if nobody waits before this upload."""
        return self.held + size <= self.total_bytes or self.is_oldest(reservation)

    def queue(self, reservation: "Reservation") -> None:
        """Put an upload at the end of those that wait."""
        self._waiting.append(reservation)

    def leave(self, reservation: "Reservation") -> None:
        """Take an upload out of those that wait, and let the next ones pass."""
        if reservation in self._waiting:
            self._waiting.remove(reservation)
        self.wake()

    def close(self, reservation: "Reservation") -> None:
        """Forget an upload that ended."""
        self._open.pop(reservation, None)
        self.wake()

    def wake(self) -> None:
        """Grant what fits: the oldest upload first wherever it waits, then the others in their order."""
        oldest = next(iter(self._open), None)
        if oldest is not None and oldest in self._waiting:
            self._waiting.remove(oldest)
            oldest.grant()
        while self._waiting and self.may_take(self._waiting[0], self._waiting[0].wanted):
            self._waiting.popleft().grant()


class Reservation:
    """One upload's share of the budget."""

    def __init__(self, budget: UploadBudget) -> None:
        self._budget = budget
        self._granted: asyncio.Future[None] | None = None
        self.held = 0
        self.wanted = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release(self.held)
        self._budget.close(self)

    async def take(self, size: int) -> None:
        """Count `size` bytes as held, waiting until they may be."""
        first = self._budget.waiting == 0 or self._budget.is_oldest(self)
        if first and self._budget.may_take(self, size):
            self._add(size)
        else:
            await self._wait(size)

    def release(self, size: int) -> None:
        """Give back `size` of the held bytes; after the upload's end there are none."""
        size = min(size, self.held)
        self.held -= size
        self._budget.held -= size
        self._budget.wake()

    def grant(self) -> None:
        """Called by the budget: the wanted bytes are held from now on."""
        self._add(self.wanted)
        if self._granted is not None and not self._granted.done():
            self._granted.set_result(None)

    async def _wait(self, size: int) -> None:
        self.wanted = size
        self._granted = asyncio.get_running_loop().create_future()
        self._budget.queue(self)
        try:
            await self._granted
        finally:
            self._budget.leave(self)
            self._granted = None

    def _add(self, size: int) -> None:
        self.held += size
        self._budget.held += size
