"""Topics: the events of one job or one owner in this process, passed on to the subscribers who read them.

A topic passes each event on once, in order and without a gap: positions are consecutive, and what no
notification brought is read from history. It never waits for a subscriber. After a failover or restart of the
store it passes nothing on until it has verified that the store still has the last event that it passed on.
"""

import asyncio
import time
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
from image2model.telemetry.metrics import EVENT_LAG, SSE_EVENTS, STORE_ROLLBACKS
from image2model.telemetry.unexpected import report_unexpected

_log: Final = structlog.stdlib.get_logger(__name__)

NOTHING_INVALID: Final = -1
"""All ids that were sent to clients are still valid."""
PAGE: Final = 128
"""Events of history in one read."""
_READERS_PER_TURN: Final = 250
"""Readers that get an event in one turn of the event loop, so that thousands do not block other work."""


class HistoryUnverified(StoreOutage):
    """Another store server answers than before: history must be verified before it is passed on."""


class Page(msgspec.Struct, frozen=True):
    """A piece of history: its frames, and the first and last position that it covers (0: nothing).

    The events of an erased job are covered and have no frame.
    """

    frames: list[Frame]
    first: int = 0
    last: int = 0


class Mark(msgspec.Struct, frozen=True):
    """Identifies the event at a position, since another event may get that position after a rollback.

    `at` is the event's time (ms since the epoch; 0: unknown, because the job was erased).
    """

    job_id: str
    at: int

    def contradicts(self, other: "Mark") -> bool:
        """Whether the two cannot be the same event."""
        return self.job_id != other.job_id or bool(self.at and other.at and self.at != other.at)


class Resume(msgspec.Struct, frozen=True, kw_only=True):
    """Where a client resumes: whether it sent an id, and the id if it has the form of ours.

    `invalid_upto` is the topic's: an id up to it may belong to an event that the store no longer has.
    """

    given: bool
    last_id: int | None = None
    invalid_upto: int = NOTHING_INVALID

    def within(self, first: int, last: int) -> bool:
        """Whether a history with these bounds (0 and 0: empty) has everything after the id."""
        return (
            self.last_id is not None
            and self.invalid_upto < self.last_id
            and first - 1 <= self.last_id <= last
        )


class Opening(msgspec.Struct, frozen=True):
    """The beginning of a stream: these frames, then the events after `position`."""

    position: int
    frames: tuple[Frame, ...] = ()


class Reader(Protocol):
    """Receives a topic's events: a subscriber."""

    position: int

    def offer(self, frame: Frame) -> bool: ...

    def restart(self, opening: Opening) -> None: ...

    def wake(self) -> None: ...

    def end(self) -> None: ...


class Topic(ABC):
    """`uses` counts the streams that joined; the relay drops a topic that has none. `gate` limits reads.

    `name` is the id of the job or the owner. `mark` identifies the event at `position`. `invalid_upto`:
    clients may have received positions up to here for events that the store no longer has; a client that
    resumes from one of them begins again with a snapshot. `unverified`: another store server answers, and
    nothing is passed on until `verify` has compared with it.
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
        self.unverified = False
        self._verifications_required = 0
        self.invalid_upto = NOTHING_INVALID
        self._gate = gate
        self._run_id = store_run(redis)
        self._announced = 0
        self._live: set[Reader] = set()
        self._behind: set[Reader] = set()
        self._passing: deque[tuple[Frame, Iterator[Reader]]] = deque()
        self._catching_up: asyncio.Task[None] | None = None

    async def open(self, resume: Resume) -> Opening | None:
        """The beginning of a stream; None if nothing follows, now or later. Raises NotFound, StoreOutage."""
        return await self._open(msgspec.structs.replace(resume, invalid_upto=self.invalid_upto))

    @abstractmethod
    async def _open(self, resume: Resume) -> Opening | None: ...

    @abstractmethod
    async def _latest(self) -> tuple[int, Mark | None]:
        """The last position of history, and its event. Raises NotFound, StoreOutage."""

    @abstractmethod
    async def mark_at(self, position: int) -> Mark | None:
        """The event at this position; None if history does not have it. Raises StoreOutage."""

    @abstractmethod
    async def _page(self, after: int) -> Page: ...

    @abstractmethod
    def _frame(self, position: int, event: Event) -> Frame: ...

    async def start(self) -> None:
        """Find the current position; notifications must arrive already. Raises NotFound, StoreOutage."""
        run_id = ""
        while run_id != self._run_id.current or not self.started:
            run_id = self._run_id.current
            self.position, self.mark = await self._latest()
            self.started = True
        self._catch_up_if_behind()

    async def page(self, after: int) -> Page:
        """The next piece of history after a position. Raises StoreOutage, also while it is unverified."""
        async with self._gate:
            found = await self._page(after)
        if self.unverified:
            raise HistoryUnverified("another server answers as the store")
        return found

    def notify(self, position: int, event: Event) -> None:
        """A notification brought this event."""
        if self._is_current and position == self.position + 1:
            self._pass_on(self._frame(position, event))
        elif position > self.position:
            self._announced = max(self._announced, position)
            self._catch_up_if_behind()

    def check(self, before: int, latest: int | None) -> None:
        """Compare with the store's `latest` position (None: erased), read when ours was `before`."""
        if latest is None:
            self.end()
            return
        if latest < before:
            self.unverified = True
            return
        self._announced = max(self._announced, latest)
        self._catch_up_if_behind()
        for reader in list(self._behind):
            reader.wake()

    def admit(self, reader: Reader) -> bool:
        """Give a reader live events if it is up to date; else False, and it reads history first."""
        if reader.position < self.position:
            self._live.discard(reader)
            self._behind.add(reader)
            return False
        self._behind.discard(reader)
        self._live.add(reader)
        return True

    def fall_behind(self, reader: Reader) -> None:
        """A reader could not keep up: it reads history from now on."""
        self._live.discard(reader)
        self._behind.add(reader)

    def leave(self, reader: Reader) -> None:
        """Remove a reader."""
        self._live.discard(reader)
        self._behind.discard(reader)

    def end(self) -> None:
        """End all streams: the job is erased, or history was trimmed. Clients may reconnect."""
        self.ended = True
        for reader in [*self._live, *self._behind]:
            reader.end()

    def require_verification(self) -> None:
        """Another store server answers: pass nothing on until `verify` has compared with it."""
        if self.started:
            self.unverified = True
            self._verifications_required += 1

    async def verify(self) -> None:
        """Continue if the store has the last event that was passed on; else restart all readers.

        Raises StoreOutage.
        """
        required, position, mark = self._verifications_required, self.position, self.mark
        found = await self.mark_at(position) if position else None
        if position and (found is None or (mark is not None and mark.contradicts(found))):
            await self._reset()
        self.unverified = required != self._verifications_required
        self._catch_up_if_behind()

    async def _reset(self) -> None:
        """The store went back to another history: restart all readers with a snapshot marked `reset`."""
        try:
            latest = await self._latest()
            opening = await self._open(Resume(given=True))
        except NotFound:
            self.end()
            return
        STORE_ROLLBACKS.inc()
        _log.error("store_rolled_back", topic=self.name, before=self.position, now=latest[0])
        self.invalid_upto = max(self.invalid_upto, self.position)
        self.position, self.mark = latest
        self._announced = 0
        self._passing.clear()
        for reader in [*self._live, *self._behind]:
            if opening is None:
                reader.end()
            else:
                reader.restart(opening)

    def close(self) -> None:
        """The last reader has left: stop reading history."""
        if self._catching_up is not None:
            self._catching_up.cancel()

    def _pass_on(self, frame: Frame) -> None:
        self.position = frame.position
        self.mark = Mark(frame.job_id, frame.at)
        self._passing.append((frame, iter(list(self._live))))
        if len(self._passing) == 1:
            self._next_turn()

    def _next_turn(self) -> None:
        """Pass on the waiting events in order, to as many readers as one turn of the loop allows."""
        left = _READERS_PER_TURN
        while self._passing:
            frame, readers = self._passing[0]
            sent = 0
            for reader in islice(readers, left):
                left -= 1
                if reader in self._live:
                    sent += reader.offer(frame)
            _count_sent(frame, sent)
            if not left:
                asyncio.get_running_loop().call_soon(self._next_turn)
                return
            self._passing.popleft()

    @property
    def _is_current(self) -> bool:
        return self.started and self._catching_up is None and not self.unverified

    def _catch_up_if_behind(self) -> None:
        if self._is_current and self._announced > self.position and not self.ended:
            self._catching_up = asyncio.create_task(self._catch_up())

    async def _catch_up(self) -> None:
        """Read what no notification brought. If the store does not answer, the next check continues."""
        try:
            while self._announced > self.position and not self.ended:
                before = self.position
                page = await self.page(before)
                if before == self.position:  # else all readers were restarted meanwhile
                    self._pass_page(page)
        except StoreOutage as error:
            _log.info("events_not_read", error=str(error))
        except Exception as error:  # noqa: BLE001 - reported; readers reconnect and get a snapshot
            report_unexpected("loop:topic", error, topic=self.name)
            self.end()
        finally:
            self._catching_up = None

    def _pass_page(self, page: Page) -> None:
        if page.first != self.position + 1:
            self.end()  # trimmed or erased: clients reconnect and get a snapshot
            return
        for frame in page.frames:
            self._pass_on(frame)
        if self.position != page.last:  # the last events belong to an erased job
            self.position, self.mark = page.last, None


def _count_sent(frame: Frame, count: int) -> None:
    """Count an event that was sent to so many readers; only now, because it would make the others wait."""
    SSE_EVENTS.inc(count)
    lag = max(time.time() - frame.at / 1000, 0)
    for _ in range(count):
        EVENT_LAG.observe(lag)
