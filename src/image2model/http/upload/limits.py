"""What one upload may use of this process: sizes, time and memory.

`UploadLimits` holds the numbers. `PacedBody` reads a request's body and cuts off a sender that is too slow or
sends too much. `UploadBudget` bounds the bytes that all uploads of the process hold together.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic
from types import TracebackType
from typing import Final, Self

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from image2model.errors import BodyTooLarge, UploadTooSlow
from image2model.http.bodies import declared_length

MIB = 1 << 20
JSON_BYTES = 64 * MIB
"""The most bytes of an upload as JSON."""
MAX_VIEWS = 8
"""The most views of one object: no endpoint takes more."""


class UploadLimits(msgspec.Struct, frozen=True):
    """Sizes in bytes, times in seconds, rates in bytes a second.

    `max_objects`: pictures that become a model of their own, and objects of several views.
    """

    max_objects: int = 25
    max_file_bytes: int = 30 * MIB
    max_field_bytes: int = 64 << 10
    max_manifest_bytes: int = 256 << 10
    max_total_bytes: int = 1 << 30
    max_fields: int = 39
    max_header_bytes: int = 4 << 10
    max_headers: int = 8
    max_boundary_bytes: int = 200
    files_in_flight: int = 2
    """Complete files of one upload that may wait for their hash and their sink at once, while there is much
    memory (`Reservation.roomy`); otherwise one."""
    min_rate: int = 16 << 10
    rate_window: float = 10.0
    """A sender below `min_rate` over this long is cut off. The service's own waits do not count."""

    crowded_grace: float = 30.0
    crowded_rate: int = 64 << 10
    """While other uploads wait for memory, a body gets this grace plus its time at this rate. A sender just
    above `min_rate` would otherwise keep them waiting."""
    max_seconds: float = 3600.0
    """The longest that a body may take in any case. The service's own waits do not count."""

    @property
    def max_body_bytes(self) -> int:
        """The body limit: all files at their limit and 1 MiB for the rest, or the limit of the whole."""
        return min(self.max_pictures * self.max_file_bytes + MIB, self.max_total_bytes)

    @property
    def max_pictures(self) -> int:
        """The most files of one upload."""
        return MAX_VIEWS * self.max_objects

    @property
    def max_parts(self) -> int:
        """The most parts of a form."""
        return self.max_pictures + self.max_fields


def check_declared_length(headers: Mapping[str, str], limits: UploadLimits) -> None:
    """Raises `BodyTooLarge` where `Content-Length` announces more than the body limit."""
    if declared_length(headers, 0) > limits.max_body_bytes:
        raise _body_too_large(limits)


def _body_too_large(limits: UploadLimits) -> BodyTooLarge:
    return BodyTooLarge(
        f"The request body is larger than {limits.max_body_bytes} bytes. Send fewer or smaller files at once."
    )


class PacedBody:
    """One request's body. `read` returns its chunks in order, then `b""`.

    `crowded` reports whether other uploads wait for memory.
    """

    def __init__(
        self, receive: Receive, limits: UploadLimits, crowded: Callable[[], bool] = lambda: False
    ) -> None:
        self._crowded = crowded
        self._receive = receive
        self._limits = limits
        self._received = 0
        self._more = True
        self._window_bytes = 0
        self._window_time = 0.0
        self._waited = 0.0

    async def read(self) -> bytes:
        """The next bytes, as many as the server has; empty at the end of the body.

        Raises `UploadTooSlow`, `BodyTooLarge`, or `ClientDisconnect` when the sender is gone.
        """
        while self._more:
            if chunk := await self._next():
                return chunk
        return b""

    async def _next(self) -> bytes:
        started = monotonic()
        try:
            async with asyncio.timeout(self._limits.rate_window - self._window_time):
                message = await self._receive()
        except TimeoutError:
            raise self._too_slow() from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        self._more = message.get("more_body", False)
        self._count(len(chunk), monotonic() - started)
        return chunk

    def _count(self, size: int, waited: float) -> None:
        self._received += size
        if self._received > self._limits.max_body_bytes:
            raise _body_too_large(self._limits)
        self._waited += waited
        if self._more and self._waited > self._time_allowed():
            raise self._too_slow()
        self._window_bytes += size
        self._window_time += waited
        if self._window_bytes >= self._limits.min_rate * self._limits.rate_window:
            self._window_bytes, self._window_time = 0, 0.0
        elif self._more and self._window_time >= self._limits.rate_window:
            raise self._too_slow()

    def _time_allowed(self) -> float:
        """How many seconds the service may have waited for what has arrived so far."""
        limits = self._limits
        if not self._crowded():
            return limits.max_seconds
        return min(limits.max_seconds, limits.crowded_grace + self._received / limits.crowded_rate)

    def _too_slow(self) -> UploadTooSlow:
        return UploadTooSlow(
            f"The upload came slower than {self._limits.min_rate} bytes a second for "
            f"{self._limits.rate_window:g} s, or held up others, or took {self._limits.max_seconds:g} s. "
            "Send it again over a faster connection, or in smaller batches.",
            headers={"Connection": "close"},
        )


_ROOMY: Final = 8
"""While all uploads hold less than this part of the budget, each may work ahead."""


class UploadBudget:
    """A process-wide count of the bytes that uploads hold in memory. Belongs to one event loop.

    Bytes are reserved as they arrive. The oldest upload may always proceed, even over the total: if it had to
    wait, uploads that each hold half of what they need would wait for each other without end. The others
    wait in the order in which they reached the limit.

    `examining`: to be held while a large file is joined, which takes as many bytes again, and hashed. More of
    them at once than there are cores would take memory and no less time.
    """

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self.held = 0
        self.examining = asyncio.Semaphore(os.cpu_count() or 1)
        self._open: dict[Reservation, None] = {}
        self._waiting: deque[Reservation] = deque()

    def open(self) -> "Reservation":
        """A new upload's reservation: a context manager that gives back all that it holds."""
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
        """Whether these bytes may be held now, if no other upload waits before this one."""
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
        while self._waiting and self.may_take(self._waiting[0], self._waiting[0].requested):
            self._waiting.popleft().grant()


class Reservation:
    """One upload's share of the budget."""

    def __init__(self, budget: UploadBudget) -> None:
        self._budget = budget
        self._granted: asyncio.Future[None] | None = None
        self.examining = budget.examining
        self.held = 0
        self.requested = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release(self.held)
        self._budget.close(self)

    @property
    def roomy(self) -> bool:
        """Whether all uploads together leave most of the budget free."""
        return self._budget.held * _ROOMY <= self._budget.total_bytes

    async def take(self, size: int) -> None:
        """Count `size` bytes as held; waits until they may be."""
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
        """Called by the budget: the requested bytes are held from now on."""
        self._add(self.requested)
        if self._granted is not None and not self._granted.done():
            self._granted.set_result(None)

    async def _wait(self, size: int) -> None:
        self.requested = size
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
