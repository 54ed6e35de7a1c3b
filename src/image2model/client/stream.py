"""An event stream that survives lost connections: it resumes after the last id that was delivered.

Who calls it: `AsyncClient.events`. It never delivers an event twice, and never hides a reset: where the
service cannot resume, its `snapshot` with `reset` comes through.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

import aiohttp

from image2model.client.errors import ApiError, Unreachable
from image2model.client.events import Complete, Event, decode
from image2model.client.retry import Patience
from image2model.client.sse import EventParser, ServerSentEvent
from image2model.client.transport import Transport

_IDLE_SECONDS: Final = 45.0  # the service sends a comment every 15 s
_REMEMBERED: Final = 1024
_LATER: Final = frozenset({429, 500, 502, 503, 504})

OnConnection = Callable[[bool], None]


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
        self._seen: deque[tuple[str, str]] = deque(maxlen=_REMEMBERED)
        self._before: frozenset[tuple[str, str]] = frozenset()
        self._patience = Patience(transport.patience)
        self._retry = 2.0
        self._on_connection = on_connection or (lambda _connected: None)
        self._over = False
        self._lost = False

    async def events(self) -> AsyncIterator[Event]:
        """Until the job is complete, or without end. Raises ApiError, Unreachable."""
        while not self._over:
            lost: Exception | None = None
            try:
                async for event in self._connection():
                    yield event
            except (aiohttp.ClientError, TimeoutError) as error:
                lost = error
            except ApiError as error:
                if error.status not in _LATER:
                    raise
                lost = error
            if not self._over:
                await self._wait(lost)

    async def _wait(self, lost: Exception | None) -> None:
        self._tell(connected=False)
        told = lost.retry_after if isinstance(lost, ApiError) else None
        if not await self._patience.pause(told if told is not None else self._retry):
            reason = str(lost) if lost else "the stream ended early"
            raise Unreachable(f"lost the event stream of {self._transport.url}: {reason}")

    def _tell(self, *, connected: bool) -> None:
        """Once for each loss, and once for its end."""
        if self._lost is connected:
            self._lost = not connected
            self._on_connection(connected)

    async def _connection(self) -> AsyncIterator[Event]:
        self._before = frozenset(self._seen)
        headers = {"Accept": "text/event-stream"}
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        async with self._transport.stream(self._path, headers=headers, idle=_IDLE_SECONDS) as response:
            self._tell(connected=True)
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

    def _is_new(self, raw: ServerSentEvent) -> bool:
        """Not delivered by an earlier connection; within one the service repeats nothing."""
        if not raw.id:
            return True
        self._last_id = raw.id
        self._seen.append((raw.event, raw.id))
        return (raw.event, raw.id) not in self._before
