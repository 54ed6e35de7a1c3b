"""uvicorn's HTTP protocol that stays with HTTP/1.1, whatever else a client offers to speak.

Who calls it: the protocol that the server runs is made of it. Java's client offers HTTP/2 (`Upgrade: h2c`)
with its first request, uploads too. An offer may be ignored (RFC 9110, 7.8), but the parser takes what
follows such a head for the other protocol: the body was lost, or, where it came in a read of its own, taken
for the next request, which a proxy in front would have answered to somebody else.
"""

import asyncio
import sys
from typing import Any, Final, cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from image2model.events.send_buffer import SEND_BUFFER, Connection

_OFFER: Final = frozenset({b"upgrade", b"http2-settings"})
"""Headers, and the words in `Connection`, that offer another protocol."""


class PlainProtocol(HttpToolsProtocol):
    """The head of a request with an offer is read once more without it."""

    _data = b""
    """The read that is being parsed."""
    _again: bytes | None = None
    """The head to be read once more."""

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        self._data = data
        try:
            super().data_received(data)
        finally:
            self._data = b""  # a stream would hold it for as long as it lives

    def on_headers_complete(self) -> None:
        """The parser's: a head has ended. With an offer in it nothing begins yet."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._again = self._without_offer()
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The parser's: a message has ended. After an offer it thinks so without having seen the body."""
        if self._again is None:
            super().on_message_complete()

    def _should_upgrade(self) -> bool:
        return False

    def _unsupported_upgrade_warning(self) -> None:
        """uvicorn's, while it handles the parser's word that another protocol follows."""
        head, self._again = self._again, None
        stopped: Any = sys.exception()
        if head is None or not isinstance(stopped, httptools.HttpParserUpgrade):
            super()._unsupported_upgrade_warning()
            return
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        PlainProtocol.data_received(self, head + self._data[stopped.args[0] :])

    def _without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        for name, value in self.headers:
            kept = _without_words(value) if name == b"connection" else value
            if name not in _OFFER and (kept or not value):
                lines.append(name + b": " + kept)
        return b"\r\n".join([*lines, b"", b""])


def _without_words(connection: bytes) -> bytes:
    words = (word.strip() for word in connection.split(b","))
    return b", ".join(word for word in words if word.lower() not in _OFFER)


MOST_BYTES: Final = 64 << 10
"""Of a head, or of trailers. What the same read brings besides is let pass: a read has at most 256 KiB."""
MOST_WAITING: Final = 32
"""Requests behind the one that is answered: a read holds thousands, each of which is kept as a hundred times
its bytes."""
STALL_S: Final = 60.0
"""How long what a client does not read may wait for it, also after the connection was closed."""


class TooManyWaitingError(Exception):
    """The parser's callback says so to stop it."""


class BoundedProtocol(PlainProtocol):
    """400 for a head that does not end; trailers that do not end cut the connection, as does not reading.

    uvicorn tells only the request that came last that its client has left. An event stream with another
    request behind it would wait for ever.
    """

    stall_s = STALL_S
    _stalled: asyncio.TimerHandle | None = None
    _pending = 0
    """Bytes since a head, a piece of a body or a message was last complete."""
    _in_head = True
    """Whether the next byte belongs to a head, the first one of a connection included."""
    _running: RequestResponseCycle | None = None
    """The request that is answered, or was last."""

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        self._pending += len(data)
        super().data_received(data)
        if self._pending > MOST_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_message_begin(self) -> None:
        """The parser's: a head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser's: a head has ended."""
        self._pending = 0
        self._in_head = False
        if len(self.pipeline) >= MOST_WAITING:
            raise TooManyWaitingError
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """The parser's: a piece of a body."""
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The parser's: a body, and its trailers, have ended."""
        self._pending = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or was sent away."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()
        self._read_on()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The transport's: more waits for the client than it should."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self.stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        """The transport's: the client has read."""
        self._read_on()
        super().resume_writing()

    def _read_on(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def send_400_response(self, msg: str) -> None:
        """uvicorn's, for what is no request: an answer that has begun is cut rather than written into."""
        running = self._running
        if running is not None and running.response_started and not running.response_complete:
            self.transport.abort()
        else:
            super().send_400_response(msg)

    def is_idle(self) -> bool:
        """Whether all that was asked is answered."""
        return self._running is not None and self._running.response_complete and not self.pipeline

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _refuse(self) -> None:
        answering = cast("object | None", self.cycle) is not None and not self.cycle.response_complete
        if self._in_head and not answering:
            self.send_400_response(f"The head of a request has at most {MOST_BYTES} bytes.")
        else:  # whatever is written now would stand in the middle of another answer
            self.transport.abort()


HEAD_S: Final = 60.0
"""How long a request's head may take, the silence before the first one included."""
_FIRST_REQUEST_S: Final = 0.5
"""How long a connection that has asked nothing yet may live on when the process stops."""


class AbortableProtocol(BoundedProtocol):
    """uvicorn's own protocol; each request's scope leads to its connection, and no head takes for ever."""

    head_s = HEAD_S
    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's
        """A client is there, and has yet to say something."""
        super().connection_made(transport)
        self._time_head()

    def data_received(self, data: bytes) -> None:
        """Bytes of requests: most heads are whole in them, and need no timer.

        Empty lines between requests begin no head, and yet end uvicorn's own wait for one.
        """
        super().data_received(data)
        if self._head_due is None and (self._in_head or self.is_idle()):
            self._time_head()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope[SEND_BUFFER] = Connection(self.transport, self.flow)  # type: ignore[typeddict-unknown-key]

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._forget_head()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or was sent away."""
        self._forget_head()
        super().connection_lost(exc)

    def _time_head(self) -> None:
        self._head_due = self.loop.call_later(self.head_s, self.transport.close)

    def _forget_head(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def shutdown(self) -> None:
        """uvicorn's hook for the stop of the process.

        A connection that was just made has its request on the way: closed now, it would be lost without a
        word, and a proxy must not send an upload a second time.
        """
        if cast("object | None", self.cycle) is None:  # uvicorn types it as it is from the first request on
            self.loop.call_later(_FIRST_REQUEST_S, super().shutdown)
        else:
            super().shutdown()
