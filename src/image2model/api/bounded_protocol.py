"""uvicorn's HTTP protocol with an end to what a client may send around its bodies.

Who calls it: the protocol that the server runs is made of it. The parser itself bounds neither a request's
head nor the trailers after a chunked body, and keeps all of both; bodies have limits of their own, at the
routes that read them. Nor does uvicorn bound the requests that wait behind the one that is answered.
"""

import asyncio
from typing import Final, cast

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from image2model.api.plain_protocol import PlainProtocol

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
