"""The HTTP/1.1 protocol of the server: uvicorn's, with limits against slow or hostile clients.

Three steps, one class each: `Http11Protocol` ignores offers of other protocols, `BoundedProtocol` bounds what
a client may make the server hold, `AbortableProtocol` bounds the time of a request's head and lets streams
abort their connection.
"""

import asyncio
import sys
from typing import Any, Final, cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from image2model.events.send_buffer import SEND_BUFFER, Connection

_OFFER_HEADERS: Final = frozenset({b"upgrade", b"http2-settings"})
"""Headers, and values of the header `Connection`, that offer another protocol."""
MAX_HEAD_BYTES: Final = 64 << 10
"""Bytes of a head, or of trailers. The rest of the same read is accepted: a read has at most 256 KiB."""
MAX_PIPELINED: Final = 32
"""Requests that may wait behind the current one. A read can hold thousands, and each takes a hundred times
its size in memory."""
STALL_TIMEOUT_S: Final = 60.0
"""Seconds that unread data may wait for a client, also after the connection was closed."""
HEAD_TIMEOUT_S: Final = 60.0
"""Seconds that a request's head may take, including the silence before the first request."""
_FIRST_REQUEST_GRACE_S: Final = 0.5
"""Seconds that a connection without a request yet stays open when the process stops."""


class Http11Protocol(HttpToolsProtocol):
    """Stays with HTTP/1.1 when a client offers another protocol, by parsing the head again without the offer.

    Java's client offers HTTP/2 (`Upgrade: h2c`) with its first request, also with an upload. A server may
    ignore the offer (RFC 9110, 7.8), but the parser takes what follows such a head for the other protocol:
    the body was lost, or a body that arrived in a read of its own was taken for the next request, whose
    answer a proxy could have sent to another client.
    """

    _data = b""
    """The bytes that are being parsed."""
    _head_to_reparse: bytes | None = None
    """The head to parse again, without the offer."""

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        self._data = data
        try:
            super().data_received(data)
        finally:
            self._data = b""  # an open stream would keep the bytes in memory

    def on_headers_complete(self) -> None:
        """Parser callback: a head is complete. If it has an offer, no request begins yet."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._head_to_reparse = self._without_offer()
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Parser callback: a message is complete. After an offer this comes before the body was seen."""
        if self._head_to_reparse is None:
            super().on_message_complete()

    def _should_upgrade(self) -> bool:
        return False

    def _unsupported_upgrade_warning(self) -> None:
        """Called by uvicorn while it handles the parser's report that another protocol follows."""
        head, self._head_to_reparse = self._head_to_reparse, None
        stopped: Any = sys.exception()
        if head is None or not isinstance(stopped, httptools.HttpParserUpgrade):
            super()._unsupported_upgrade_warning()
            return
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        Http11Protocol.data_received(self, head + self._data[stopped.args[0] :])

    def _without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        for name, value in self.headers:
            kept = _without_offered(value) if name == b"connection" else value
            if name not in _OFFER_HEADERS and (kept or not value):
                lines.append(name + b": " + kept)
        return b"\r\n".join([*lines, b"", b""])


def _without_offered(connection: bytes) -> bytes:
    values = (value.strip() for value in connection.split(b","))
    return b", ".join(value for value in values if value.lower() not in _OFFER_HEADERS)


class TooManyPipelinedError(Exception):
    """Raised in a parser callback to stop the parser."""


class BoundedProtocol(Http11Protocol):
    """Answers an endless head with 400; aborts on endless trailers, and when a client does not read.

    uvicorn reports a disconnect only to the last request of a connection. An event stream with another
    request behind it would never end, so the disconnect is also reported to the current request.
    """

    stall_timeout_s = STALL_TIMEOUT_S
    _stall_timer: asyncio.TimerHandle | None = None
    _pending = 0
    """Bytes since the last complete head, body part or message."""
    _in_head = True
    """Whether the next byte belongs to a head; true for the first byte of a connection."""
    _running: RequestResponseCycle | None = None
    """The current request, or the last one."""

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        self._pending += len(data)
        super().data_received(data)
        if self._pending > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_message_begin(self) -> None:
        """Parser callback: a head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Parser callback: a head is complete."""
        self._pending = 0
        self._in_head = False
        if len(self.pipeline) >= MAX_PIPELINED:
            raise TooManyPipelinedError
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Parser callback: a part of a body."""
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Parser callback: a body and its trailers are complete."""
        self._pending = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()
        self._cancel_stall_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Transport callback: too much data waits for the client."""
        super().pause_writing()
        self._stall_timer = self.loop.call_later(self.stall_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Transport callback: the client has read."""
        self._cancel_stall_timer()
        super().resume_writing()

    def _cancel_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to an invalid request; a begun answer is aborted, never written into."""
        running = self._running
        if running is not None and running.response_started and not running.response_complete:
            self.transport.abort()
        else:
            super().send_400_response(msg)

    def is_idle(self) -> bool:
        """Whether all requests have been answered."""
        return self._running is not None and self._running.response_complete and not self.pipeline

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _refuse(self) -> None:
        answering = cast("object | None", self.cycle) is not None and not self.cycle.response_complete
        if self._in_head and not answering:
            self.send_400_response(f"The head of a request may have at most {MAX_HEAD_BYTES} bytes.")
        else:  # a 400 would be written into the middle of another answer
            self.transport.abort()


class AbortableProtocol(BoundedProtocol):
    """Limits the time of a request's head, and puts the connection's `SendBuffer` into each scope."""

    head_timeout_s = HEAD_TIMEOUT_S
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's
        """A client has connected."""
        super().connection_made(transport)
        self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        """Bytes of the client. Most heads are complete in one read and need no timer.

        Empty lines between requests begin no head, but they end uvicorn's own wait for the next head.
        """
        super().data_received(data)
        if self._head_timer is None and (self._in_head or self.is_idle()):
            self._start_head_timer()

    def on_message_begin(self) -> None:
        """Parser callback: a request begins."""
        super().on_message_begin()
        self.scope[SEND_BUFFER] = Connection(self.transport, self.flow)  # type: ignore[typeddict-unknown-key]

    def on_headers_complete(self) -> None:
        """Parser callback: a head is complete."""
        self._cancel_head_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._cancel_head_timer()
        super().connection_lost(exc)

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout_s, self.transport.close)

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def shutdown(self) -> None:
        """uvicorn's hook for the stop of the process.

        The request of a new connection may be on its way. Closing now would lose it without an answer, and a
        proxy must not send an upload a second time.
        """
        if (
            cast("object | None", self.cycle) is None
        ):  # None until the first request, unlike uvicorn's annotation
            self.loop.call_later(_FIRST_REQUEST_GRACE_S, super().shutdown)
        else:
            super().shutdown()
