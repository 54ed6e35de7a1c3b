"""Topics: one job's or one owner's events in this process, and the subscribers who read them.

Who calls it: the relay (bells, checks) and the subscribers (history). A topic passes each event on once,
in order, without a gap: what a bell did not bring is read from the stream. Positions are consecutive, so a
gap shows by counting. A topic never waits for a subscriber.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final, Protocol

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.api.events.frame import Frame
from image2model.store.connection import StoreOutage
from image2model.store.events import Event
from image2model.telemetry.unexpected import tell_unexpected

_log: Final = structlog.stdlib.get_logger(__name__)

PAGE: Final = 128
"""Events of history read at once."""
_TURN: Final = 250
"""Readers that get an event in one turn of the loop: a crowd of thousands must not hold up everybody else."""


class Page(msgspec.Struct, frozen=True):
    """A piece of history: its frames, and the first and last position that it accounts for (0: nothing).

    An erased job's events are accounted for and have no frame.
    """

    frames: list[Frame]
    first: int = 0
    upto: int = 0


class Resume(msgspec.Struct, frozen=True, kw_only=True):
    """Where a client wants to go on: whether it named an id, and the id if that can be one of ours."""

    given: bool
    last_id: int | None = None

    def within(self, first: int, last: int) -> bool:
        """Whether a history of these bounds (0 and 0: none) has all that follows."""
        return self.last_id is not None and first - 1 <= self.last_id <= last


class Opening(msgspec.Struct, frozen=True):
    """How a stream begins: these frames first, then what follows `position`."""

    position: int
    frames: tuple[Frame, ...] = ()


class Reader(Protocol):
    """Whoever gets a topic's events."""

    position: int

    def offer(self, frame: Frame) -> None: ...

    def wake(self) -> None: ...

    def end(self) -> None: ...


class Topic(ABC):
    """Who joins counts in `uses`; the relay forgets a topic that has none. `gate` bounds reads at once.

    `name` is the job's id, or the owner's.
    """

    def __init__(self, redis: Redis, owner: str, gate: asyncio.Semaphore, name: str) -> None:
        self.redis = redis
        self.owner = owner
        self.name = name
        self.uses = 0
        self.ended = False
        self.started = False
        self.starting = asyncio.Lock()
        self.position = 0
        self._gate = gate
        self._heard = 0
        self._live: set[Reader] = set()
        self._behind: set[Reader] = set()
        self._waves: deque[tuple[Frame, Iterator[Reader]]] = deque()
        self._filler: asyncio.Task[None] | None = None

    @abstractmethod
    async def open(self, resume: Resume) -> Opening | None:
        """How a stream begins; None where nothing follows, now or later. Raises NotFound, StoreOutage."""

    @abstractmethod
    async def _latest(self) -> int:
        """Where history ends now. Raises NotFound, StoreOutage."""

    @abstractmethod
    async def _page(self, after: int) -> Page: ...

    @abstractmethod
    def _frame(self, position: int, event: Event) -> Frame: ...

    async def start(self) -> None:
        """Find the place to go on from; the bells must be heard already. Raises NotFound, StoreOutage."""
        self.position = await self._latest()
        self.started = True
        self._fill_up()

    async def page(self, after: int) -> Page:
        """The next piece of history after a position. Raises StoreOutage."""
        async with self._gate:
            return await self._page(after)

    def ring(self, position: int, event: Event) -> None:
        """An event has just happened."""
        if self.started and self._filler is None and position == self.position + 1:
            self._pass_on(self._frame(position, event))
        elif position > self.position:
            self._heard = max(self._heard, position)
            self._fill_up()

    def check(self, before: int, latest: int | None) -> None:
        """Compare with the store, which says `latest` (None: gone); `before` was the position when asked."""
        if latest is None or latest < before:
            self.end()
            return
        self._heard = max(self._heard, latest)
        self._fill_up()
        for reader in list(self._behind):
            reader.wake()

    def admit(self, reader: Reader) -> bool:
        """Let a reader live from here on, if it has read all that was passed on; else it reads on."""
        if reader.position < self.position:
            self._live.discard(reader)
            self._behind.add(reader)
            return False
        self._behind.discard(reader)
        self._live.add(reader)
        return True

    def fall_behind(self, reader: Reader) -> None:
        """A reader could not keep up: from here on it reads history."""
        self._live.discard(reader)
        self._behind.add(reader)

    def leave(self, reader: Reader) -> None:
        """Forget a reader."""
        self._live.discard(reader)
        self._behind.discard(reader)

    def end(self) -> None:
        """End all streams: the job is gone, or history is not what it was. Clients may come back."""
        self.ended = True
        for reader in [*self._live, *self._behind]:
            reader.end()

    def close(self) -> None:
        """Nobody reads any more."""
        if self._filler is not None:
            self._filler.cancel()

    def _pass_on(self, frame: Frame) -> None:
        self.position = frame.position
        self._waves.append((frame, iter(list(self._live))))
        if len(self._waves) == 1:
            self._next_turn()

    def _next_turn(self) -> None:
        """Pass on what waits, one event after the other, to as many readers as one turn allows."""
        left = _TURN
        while self._waves:
            frame, readers = self._waves[0]
            for reader in islice(readers, left):
                left -= 1
                if reader in self._live:
                    reader.offer(frame)
            if not left:
                asyncio.get_running_loop().call_soon(self._next_turn)
                return
            self._waves.popleft()

    def _fill_up(self) -> None:
        if self.started and self._filler is None and self._heard > self.position and not self.ended:
            self._filler = asyncio.create_task(self._fill())

    async def _fill(self) -> None:
        """Read what no bell brought. Where the store does not answer, the next check goes on."""
        try:
            while self._heard > self.position and not self.ended:
                self._pass_page(await self.page(self.position))
        except StoreOutage as error:
            _log.info("events_not_read", error=str(error))
        except Exception as error:  # noqa: BLE001 - told; readers come back, and begin with what the store says
            tell_unexpected("loop:topic", error, topic=self.name)
            self.end()
        finally:
            self._filler = None

    def _pass_page(self, page: Page) -> None:
        if page.first != self.position + 1:
            self.end()  # trimmed or erased: those who come back get a snapshot
            return
        for frame in page.frames:
            self._pass_on(frame)
        self.position = page.upto
