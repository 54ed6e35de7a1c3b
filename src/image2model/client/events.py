"""The events of a job: an event stream that resumes after a lost connection, and its parser.

The parser follows WHATWG HTML, "Interpreting an event stream": a byte order mark at the start is dropped,
lines end with CR, LF or both, several `data` lines are joined by LF, a line that begins with a colon is a
comment, an id with NUL is ignored, and an event without a closing empty line is never delivered.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import aiohttp
import msgspec

from image2model.client.documents import Counts, Image, Job
from image2model.client.errors import ApiError, ClientError, Unreachable
from image2model.client.transport import Patience, Transport

_BOM: Final = b"\xef\xbb\xbf"
_IDLE_SECONDS: Final = 45.0  # the service sends a comment every 15 s
_MAX_SEEN: Final = 1024
_TEMPORARY: Final = frozenset({429, 500, 502, 503, 504})


OnConnection = Callable[[bool], None]


class Snapshot(msgspec.Struct, frozen=True):
    """The state at the start: one job, or on `/events` the unfinished ones, without images.

    `reset`: history no longer reached back to the last id, so this replaces all earlier state.
    """

    id: str
    jobs: tuple[Job, ...]
    reset: bool = False


class ImageChanged(msgspec.Struct, frozen=True):
    """One image changed; `counts`, `progress` and `status` are its job's after the change."""

    id: str
    job_id: str
    status: str
    counts: Counts
    progress: float
    image: Image
    waiting_for: str | None = None


class Complete(msgspec.Struct, frozen=True):
    """A job is finished; on `/events` its document has no images."""

    id: str
    job: Job


Event = Snapshot | ImageChanged | Complete


class EventStream:
    """The events at `path`; `ends`: a `complete` is the last one (the stream of one job)."""

    def __init__(
        self,
        transport: Transport,
        path: str,
        *,
        ends: bool,
        last_event_id: str | None = None,
        on_connection: OnConnection | None = None,
    ) -> None:
        self._transport = transport
        self._path = path
        self._ends = ends
        self._last_id = last_event_id
        self._seen: deque[tuple[str, str]] = deque(maxlen=_MAX_SEEN)
        self._before: frozenset[tuple[str, str]] = frozenset()
        self._patience = Patience(transport.patience)
        self._retry = 2.0
        self._on_connection = on_connection or (lambda _connected: None)
        self._over = False
        self._lost = False

    async def events(self) -> AsyncIterator[Event]:
        """Yield events until the job is complete, or without end. Raises ApiError, Unreachable."""
        while not self._over:
            lost: Exception | None = None
            try:
                async for event in self._connection():
                    yield event
            except (aiohttp.ClientError, TimeoutError) as error:
                lost = error
            except ApiError as error:
                if error.status not in _TEMPORARY:
                    raise
                lost = error
            if not self._over:
                await self._wait(lost)

    async def _wait(self, lost: Exception | None) -> None:
        self._report(connected=False)
        retry_after = lost.retry_after if isinstance(lost, ApiError) else None
        if not await self._patience.pause(retry_after if retry_after is not None else self._retry):
            reason = str(lost) if lost else "the stream ended early"
            raise Unreachable(f"lost the event stream of {self._transport.url}: {reason}")

    def _report(self, *, connected: bool) -> None:
        """Report each loss once, and its end once."""
        if self._lost is connected:
            self._lost = not connected
            self._on_connection(connected)

    async def _connection(self) -> AsyncIterator[Event]:
        self._before = frozenset(self._seen)
        headers = {"Accept": "text/event-stream"}
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        async with self._transport.stream(self._path, headers=headers, idle=_IDLE_SECONDS) as response:
            self._report(connected=True)
            if response.status == 204:
                self._over = True
                return
            async for event in self._parsed(response):
                yield event

    async def _parsed(self, response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
        parser = EventParser()
        async for chunk in response.content.iter_any():
            self._patience.begin_again()
            for raw in parser.feed(chunk):
                event = decode(raw)
                if event is None or not self._is_new(raw):
                    continue
                self._over = self._ends and isinstance(event, Complete)
                yield event
                if self._over:
                    return
            self._retry = parser.retry if parser.retry is not None else self._retry

    def _is_new(self, raw: "ServerSentEvent") -> bool:
        """Whether no earlier connection delivered it; within one connection nothing is repeated."""
        if not raw.id:
            return True
        self._last_id = raw.id
        self._seen.append((raw.event, raw.id))
        return (raw.event, raw.id) not in self._before


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One event; `id` is the last one that the stream has set, also by an earlier event."""

    event: str
    data: str
    id: str


class EventParser:
    """Turns bytes into events. `retry` is the stream's reconnection time in seconds, if it sent one."""

    def __init__(self) -> None:
        self.retry: float | None = None
        self._rest = b""
        self._started = False
        self._after_cr = False
        self._event = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The events that `chunk` completes."""
        for line in self._lines(chunk):
            if line:
                self._field(line.decode("utf-8", "replace"))
            elif event := self._dispatch():
                yield event

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        data = self._rest + chunk
        if not self._started:
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._rest = data
                return
            data, self._started = data.removeprefix(_BOM), True
        if self._after_cr and data:
            data, self._after_cr = data.removeprefix(b"\n"), False
        *lines, self._rest = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._after_cr = data.endswith(b"\r")
        yield from lines

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value) / 1000

    def _dispatch(self) -> ServerSentEvent | None:
        name, self._event = self._event or "message", ""
        lines, self._data = self._data, []
        return ServerSentEvent(name, "\n".join(lines), self._id) if lines else None


class _Change(msgspec.Struct):
    job_id: str
    status: str
    counts: Counts
    progress: float
    image: Image
    waiting_for: str | None = None


class _Reset(msgspec.Struct):
    reset: bool = False
    jobs: tuple[Job, ...] | None = None


def decode(raw: ServerSentEvent) -> Event | None:
    """The typed event; None for a kind that this client does not know. Raises ClientError."""
    try:
        return _decode(raw)
    except msgspec.DecodeError as error:
        raise ClientError(f"the service sent an event that cannot be read: {error}") from error


def _decode(raw: ServerSentEvent) -> Event | None:
    if raw.event == "image":
        change = msgspec.json.decode(raw.data, type=_Change)
        return ImageChanged(id=raw.id, **{name: getattr(change, name) for name in change.__struct_fields__})
    if raw.event == "complete":
        return Complete(id=raw.id, job=msgspec.json.decode(raw.data, type=Job))
    if raw.event != "snapshot":
        return None
    head = msgspec.json.decode(raw.data, type=_Reset)
    jobs = head.jobs if head.jobs is not None else (msgspec.json.decode(raw.data, type=Job),)
    return Snapshot(id=raw.id, jobs=jobs, reset=head.reset)
