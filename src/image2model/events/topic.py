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

from image2model.errors import NotFound
from image2model.events.frames import Frame
from image2model.events.history import Event
from image2model.store.connection import StoreOutage
from image2model.store.run_id import store_run
from image2model.telemetry.metrics import STORE_ROLLBACKS
from image2model.telemetry.unexpected import report_unexpected

_log: Final = structlog.stdlib.get_logger(__name__)

NO_VOID: Final = -1
"""Every id that clients were given is still true."""
PAGE: Final = 128
"""Events of history read at once."""
_TURN: Final = 250
"""Readers that get an event in one turn of the loop: a crowd of thousands must not hold up everybody else."""


class Doubted(StoreOutage):
    """What is passed on must be compared with the store first: another server answers than before."""


class Page(msgspec.Struct, frozen=True):
    """A piece of history: its frames, and the first and last position that it accounts for (0: nothing).

    An erased job's events are accounted for and have no frame.
    """

    frames: list[Frame]
    first: int = 0
    upto: int = 0


class Mark(msgspec.Struct, frozen=True):
    """One event, told from every other that may have its position after the store went back.

    Whose job it was of, and when it happened (ms; 0: not known, since the job has been erased).
    """

    job_id: str
    at: int

    def contradicts(self, other: "Mark") -> bool:
        """Whether they cannot be the same event."""
        return self.job_id != other.job_id or bool(self.at and other.at and self.at != other.at)


class Resume(msgspec.Struct, frozen=True, kw_only=True):
    """Where a client wants to go on: whether it named an id, and the id if that can be one of ours.

    `void`: the topic's; an id up to there may be of an event that the store no longer has.
    """

    given: bool
    last_id: int | None = None
    void: int = NO_VOID

    def within(self, first: int, last: int) -> bool:
        """Whether a history of these bounds (0 and 0: none) has all that follows."""
        return self.last_id is not None and self.void < self.last_id and first - 1 <= self.last_id <= last


class Opening(msgspec.Struct, frozen=True):
    """How a stream begins: these frames first, then what follows `position`."""

    position: int
    frames: tuple[Frame, ...] = ()


class Reader(Protocol):
    """Whoever gets a topic's events."""

    position: int

    def offer(self, frame: Frame) -> None: ...

    def restart(self, opening: Opening) -> None: ...

    def wake(self) -> None: ...

    def end(self) -> None: ...


class Topic(ABC):
    """Who joins counts in `uses`; the relay forgets a topic that has none. `gate` bounds reads at once.

    `name` is the job's id, or the owner's. `mark` is the event at `position`. `void`: clients may
    have been given positions up to here for events that the store no longer has; who resumes from one begins
    again.
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
        self.mark: Mark | None = None
        self.doubted = False
        self._doubts = 0
        self.void = NO_VOID
        self._gate = gate
        self._run = store_run(redis)
        self._heard = 0
        self._live: set[Reader] = set()
        self._behind: set[Reader] = set()
        self._waves: deque[tuple[Frame, Iterator[Reader]]] = deque()
        self._filler: asyncio.Task[None] | None = None

    async def open(self, resume: Resume) -> Opening | None:
        """How a stream begins; None where nothing follows, now or later. Raises NotFound, StoreOutage."""
        return await self._open(msgspec.structs.replace(resume, void=self.void))

    @abstractmethod
    async def _open(self, resume: Resume) -> Opening | None: ...

    @abstractmethod
    async def _latest(self) -> tuple[int, Mark | None]:
        """Where history ends now, and its last event. Raises NotFound, StoreOutage."""

    @abstractmethod
    async def mark_at(self, position: int) -> Mark | None:
        """The event of this position; None where history does not have it. Raises StoreOutage."""

    @abstractmethod
    async def _page(self, after: int) -> Page: ...

    @abstractmethod
    def _frame(self, position: int, event: Event) -> Frame: ...

    async def start(self) -> None:
        """Find the place to go on from; the bells must be heard already. Raises NotFound, StoreOutage."""
        run_id = ""
        while run_id != self._run.current or not self.started:
            run_id = self._run.current
            self.position, self.mark = await self._latest()
            self.started = True
        self._fill_up()

    async def page(self, after: int) -> Page:
        """The next piece of history after a position. Raises StoreOutage, also while it is in doubt."""
        async with self._gate:
            found = await self._page(after)
        if self.doubted:
            raise Doubted("another server answers as the store")
        return found

    def notify(self, position: int, event: Event) -> None:
        """An event has just happened."""
        if self._flows and position == self.position + 1:
            self._pass_on(self._frame(position, event))
        elif position > self.position:
            self._heard = max(self._heard, position)
            self._fill_up()

    def check(self, before: int, latest: int | None) -> None:
        """Compare with the store, which says `latest` (None: gone); `before` was the position when asked."""
        if latest is None:
            self.end()
            return
        if latest < before:
            self.doubted = True
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

    def doubt(self) -> None:
        """Another server answers as the store: nothing is passed on until `settle` has compared."""
        if self.started:
            self.doubted = True
            self._doubts += 1

    async def settle(self) -> None:
        """Go on where the store has what was passed on last, else let everybody begin again.

        Raises StoreOutage.
        """
        doubts, position, mark = self._doubts, self.position, self.mark
        found = await self.mark_at(position) if position else None
        if position and (found is None or (mark is not None and mark.contradicts(found))):
            await self._reset()
        self.doubted = doubts != self._doubts
        self._fill_up()

    async def _reset(self) -> None:
        """The store's history is another one: everybody begins again with a snapshot that says so."""
        try:
            latest = await self._latest()
            opening = await self._open(Resume(given=True))
        except NotFound:
            self.end()
            return
        STORE_ROLLBACKS.inc()
        _log.error("store_rolled_back", topic=self.name, before=self.position, now=latest[0])
        self.void = max(self.void, self.position)
        self.position, self.mark = latest
        self._heard = 0
        self._waves.clear()
        for reader in [*self._live, *self._behind]:
            if opening is None:
                reader.end()
            else:
                reader.restart(opening)

    def close(self) -> None:
        """Nobody reads any more."""
        if self._filler is not None:
            self._filler.cancel()

    def _pass_on(self, frame: Frame) -> None:
        self.position = frame.position
        self.mark = Mark(frame.job_id, frame.at)
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

    @property
    def _flows(self) -> bool:
        return self.started and self._filler is None and not self.doubted

    def _fill_up(self) -> None:
        if self._flows and self._heard > self.position and not self.ended:
            self._filler = asyncio.create_task(self._fill())

    async def _fill(self) -> None:
        """Read what no bell brought. Where the store does not answer, the next check goes on."""
        try:
            while self._heard > self.position and not self.ended:
                before = self.position
                page = await self.page(before)
                if before == self.position:  # else everybody began again meanwhile
                    self._pass_page(page)
        except StoreOutage as error:
            _log.info("events_not_read", error=str(error))
        except Exception as error:  # noqa: BLE001 - told; readers come back, and begin with what the store says
            report_unexpected("loop:topic", error, topic=self.name)
            self.end()
        finally:
            self._filler = None

    def _pass_page(self, page: Page) -> None:
        if page.first != self.position + 1:
            self.end()  # trimmed or erased: those who come back get a snapshot
            return
        for frame in page.frames:
            self._pass_on(frame)
        if self.position != page.upto:  # the last ones are of an erased job
            self.position, self.mark = page.upto, None
