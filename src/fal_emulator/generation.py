"""One accepted request: its input, where it stands, how it ended, and who is waiting to hear of a change.

Made by the submit route, moved by the runners, read by every other route. Its clock is the event loop's.
"""

import asyncio
import sys
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from fal_emulator.access import NO_PREFERENCE, Lifecycle
from fal_emulator.disk import Disk
from fal_emulator.endpoints import Endpoint
from fal_emulator.fault_rules import NONE, Faults
from fal_emulator.faults import Fault
from fal_emulator.relations import InputFile, OutputFile


class Phase(StrEnum):
    """FAL's own three; a failure is COMPLETED with an error."""

    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"


class LedgerEntry(msgspec.Struct):
    """One line of the ledger, as api.md shows it. `outcome`: succeeded, failed, cancelled, or null.

    `billable_units` and `billed_usd` are what FAL takes for it, null until it has ended and where FAL does
    not say. `inputs` are the files that it was made of, with the requests that made those; `outputs` are the
    files of its result.
    """

    request_id: str
    endpoint: str
    input: object
    tags: dict[str, str]
    accepted_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    outcome: str | None = None
    billable_units: float | None = None
    billed_usd: float | None = None
    inputs: tuple[InputFile, ...] = ()
    outputs: tuple[OutputFile, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """What the result route says: an HTTP status, JSON, extra headers, and the error in the status.

    `units` is what an answer other than a success bills, None where FAL does not say.
    """

    status: int
    body: object
    headers: dict[str, str] = {}
    error: str | None = None
    error_type: str | None = None
    units: float | None = None

    def with_header(self, name: str, value: str) -> "Answer":
        """The same with one more header."""
        return msgspec.structs.replace(self, headers={**self.headers, name: value})


class _Ended(msgspec.Struct, frozen=True):
    """What is kept on the disk of a request that has ended."""

    entry: LedgerEntry
    answer: Answer


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Ended).decode


class Generation:
    """`latency` and `start_timeout` in seconds.

    `asked` are the faults that this request asked for itself, `faults` all that it meets once accepted.
    `lifecycle` holds for its output files. `erased`: its payloads have been deleted.
    `background`: another program's, which no ledger shows. `accepted`: when, by the wall clock.

    Once it is filed, `entry` and `answer` are read from the disk each time: what is written into them then is
    lost.
    """

    __slots__ = (
        "_answer",
        "_disk",
        "_entry",
        "_number",
        "_watchers",
        "accepted",
        "accepted_at",
        "asked",
        "background",
        "base_url",
        "cancelled",
        "endpoint",
        "erased",
        "faults",
        "finished_at",
        "input",
        "key_id",
        "latency",
        "lifecycle",
        "low_priority",
        "phase",
        "queued_as",
        "request_id",
        "requeued",
        "revision",
        "start_timeout",
        "timer",
        "webhook",
        "work",
    )

    def __init__(
        self,
        *,
        request_id: str,
        endpoint: Endpoint,
        arguments: dict[str, object],
        recorded: object,
        tags: dict[str, str],
        key_id: str,
        base_url: str,
        latency: float,
        faults: Faults = NONE,
        asked: Faults = NONE,
        low_priority: bool = False,
        start_timeout: float | None = None,
        webhook: str | None = None,
        lifecycle: Lifecycle = NO_PREFERENCE,
        background: bool = False,
    ) -> None:
        self.request_id = request_id
        self.accepted = datetime.now(UTC)
        self._entry: LedgerEntry | None = LedgerEntry(request_id, endpoint.id, recorded, tags, self.accepted)
        self._answer: Answer | None = None
        self._disk: Disk | None = None
        self._number = 0
        self.endpoint = endpoint
        self.input = arguments
        self.key_id = sys.intern(key_id)
        self.base_url = sys.intern(base_url)
        self.latency = latency
        self.faults = faults or NONE
        self.asked = asked or NONE
        self.low_priority = low_priority
        self.start_timeout = start_timeout
        self.webhook = webhook
        self.lifecycle = lifecycle
        self.erased = False
        self.background = background
        self.phase = Phase.IN_QUEUE
        self.queued_as = 0
        self.requeued = False
        self.cancelled = False
        self.accepted_at = asyncio.get_running_loop().time()
        self.finished_at: float | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.work: asyncio.Future[Answer] | None = None
        self.revision = 0
        self._watchers: list[asyncio.Future[None]] = []

    @property
    def entry(self) -> LedgerEntry:
        """Its line of the ledger."""
        return self._entry if self._entry is not None else self._read().entry

    @property
    def answer(self) -> Answer | None:
        """How it ended, None until then."""
        return self._answer if self._disk is None else self._read().answer

    @answer.setter
    def answer(self, answer: Answer) -> None:
        self._answer = answer

    def file(self, disk: Disk) -> None:
        """It has ended: keep what was said of it on the disk, and in memory only what finds it again."""
        assert self._entry is not None  # noqa: S101 - filed once
        assert self._answer is not None  # noqa: S101 - it has ended
        record = _encode(_Ended(self._entry, self._answer))
        self._number = disk.run("INSERT INTO ended (record) VALUES (?)", record)
        self._disk, self._entry, self._answer, self.webhook = disk, None, None, None

    def forget(self) -> None:
        """Nobody knows it any more: remove it from the disk, if it was filed."""
        if self._disk is not None:
            self._disk.run("DELETE FROM ended WHERE number = ?", self._number)

    def _read(self) -> _Ended:
        assert self._disk is not None  # noqa: S101 - as `file` has left it
        row = self._disk.row("SELECT record FROM ended WHERE number = ?", self._number)
        assert row is not None  # noqa: S101 - it is removed only when nobody knows the request
        assert isinstance(row[0], bytes)  # noqa: S101 - as `file` has written it
        return _decode(row[0])

    @property
    def seconds(self) -> float:
        """From start to finish, 0 while it has not done both."""
        entry = self.entry
        started, finished = entry.started_at, entry.finished_at
        return (finished - started).total_seconds() if started and finished else 0.0

    def lasts(self, fault: Fault, since: float | None) -> bool:
        """Whether a fault that lasts for its value's seconds from `since` on is met now."""
        seconds = self.faults.get(fault)
        if since is None or not isinstance(seconds, float):
            return False
        return asyncio.get_running_loop().time() < since + seconds

    def changed(self) -> None:
        """Wake everybody who watches."""
        self.revision += 1
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)

    def watch(self) -> asyncio.Future[None]:
        """Done at the next change."""
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append(watcher)
        return watcher

    def unwatch(self, watcher: asyncio.Future[None]) -> None:
        """The watcher has gone away."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)
