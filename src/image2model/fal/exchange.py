"""One HTTP/1.1 connection, and one exchange after the other over it: a request, and its reply as it arrives.

aiohttp's session, request and response take several times the CPU of an exchange with FAL, and a picture has
six. Here a reply has one future to wait on, and one timer that looks whether its deadlines have passed.
Everything that goes wrong on the wire is an OSError, never a short reply.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

import httptools
import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from image2model.fal.inflater import CODINGS, Inflater

_MOST_HEAD: Final = 1 << 17
"""Bytes of a reply before its body."""
_PIECE: Final = 1 << 16
"""A large body in one piece would block the loop while it is copied to the socket's buffer."""


class Deadlines(msgspec.Struct, frozen=True):
    """Seconds. `connect`: for a connection; `silence`: for the next bytes; `total`: for all of it."""

    connect: float | None = 10.0
    silence: float | None = None
    total: float | None = None


class HttpReply:
    """One reply. Its head is there; its body comes by `part` or `whole`, once.

    `held`: bytes of the body that wait here at most, or twice that; then the connection reads no more.
    """

    def __init__(self, connection: "HttpConnection", deadlines: Deadlines, began: float, held: int) -> None:
        self.status = 0
        self.headers: CIMultiDictProxy[str] = _NO_HEADERS
        self.is_complete = False
        self.has_begun = False
        self.error: OSError | None = None
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._held = held
        self._parts: list[bytes] = []
        self._waiting = 0
        self._waiter: asyncio.Future[None] | None = None
        self._inflater: Inflater | None = None
        self._silence = deadlines.silence
        self._ends_at = None if deadlines.total is None else began + deadlines.total
        self._heard_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._discards: int | None = None
        self._on_end: Callable[[], None] | None = None
        self.look()

    async def head(self) -> None:
        """Wait until `status` and `headers` are there. Raises OSError."""
        while not self.status:
            if self.error is not None:
                raise self.error
            await self._wait()

    async def part(self) -> bytes:
        """The bytes that have come since the last call, or the next ones; none at the end. Raises OSError."""
        while True:
            while not self._parts:
                if self.error is not None:
                    raise self.error
                if self.is_complete:
                    return b"" if self._inflater is None else self._inflater.rest()
                await self._wait()
            found = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            self._waiting = 0
            self._connection.resume()
            if self._inflater is None:
                return found
            if inflated := self._inflater.inflate(found):
                return inflated

    async def whole(self, most: int) -> bytes:
        """The body. Raises OSError, also if it has more than `most` bytes."""
        parts: list[bytes] = []
        size = 0
        while part := await self.part():
            parts.append(part)
            size += len(part)
            if size > most:
                raise ConnectionError(f"the reply is larger than {most} bytes")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def discard(self, most: int, within_s: float, on_end: Callable[[], None]) -> None:
        """Nobody reads it any more. It goes on to its end, if that is so near; `on_end` is called then."""
        self._parts.clear()
        self._discards, self._on_end = most, on_end
        self._silence, self._ends_at = None, self._loop.time() + within_s
        if self._timer is not None:
            self._timer.cancel()
        self.look()
        self._connection.resume()

    @property
    def content_length(self) -> int | None:
        """What the head says."""
        length = self.headers.get("Content-Length", "")
        return int(length) if length.isascii() and length.isdigit() else None

    def begin(self, status: int, headers: "CIMultiDict[str]") -> None:
        """The head is here."""
        self.status = status
        self.headers = CIMultiDictProxy(headers)
        coding = headers.get("Content-Encoding", "").strip().lower()
        if coding in CODINGS:
            self._inflater = Inflater(coding)
        self.wake()

    def feed(self, data: bytes) -> None:
        """More of the body is here."""
        if self._discards is not None:
            self._discards -= len(data)
            if self._discards < 0:
                self._connection.abort()
            return
        self._parts.append(data)
        self._waiting += len(data)
        if self._waiting > 2 * self._held:
            self._connection.pause()
        self.wake()

    def end(self, error: OSError | None = None) -> None:
        """It is whole, or will never be. The first call counts."""
        if self.is_complete or self.error is not None:
            return
        self.is_complete, self.error = error is None, error
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.wake()
        if self._on_end is not None:
            self._on_end()

    def heard(self) -> None:
        """Something of it has come, or of its request has gone."""
        self._heard_at = self._loop.time()

    def look(self) -> None:
        """End it where a deadline has passed, and look again when the next one may have."""
        ends_at = self._ends_at
        if self._silence is not None:
            # while it is not read here, the host is not silent
            since = self._loop.time() if self._connection.is_paused else self._heard_at
            ends_at = since + self._silence if ends_at is None else min(ends_at, since + self._silence)
        if ends_at is None:
            return
        if ends_at <= self._loop.time():
            self.end(TimeoutError("no answer in time"))
            self._connection.abort()
        else:
            self._timer = self._loop.call_at(ends_at, self.look)

    def wake(self) -> None:
        """Whoever waits looks again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


class HttpConnection(asyncio.Protocol):
    """One connection. `on_end` is called when it is lost; it may be used again while `is_usable`."""

    def __init__(self, on_end: Callable[["HttpConnection"], None]) -> None:
        self._is_open = True
        self.is_paused = False
        self.idle_since = 0.0
        self._on_end = on_end
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._reply: HttpReply | None = None
        self._headers: CIMultiDict[str] = CIMultiDict()
        self._head_size = 0
        self._is_kept = False
        self._until_closed = False
        self._drained: asyncio.Future[None] | None = None

    async def send(
        self, head: bytes, body: bytes, deadlines: Deadlines, *, began: float, held: int = _PIECE
    ) -> HttpReply:
        """Send a request and return its reply, whose head is there. Raises OSError, and ends then.

        `began`: when the exchange did, by the loop's clock. `held`: see HttpReply.
        """
        if self._transport is None or not self.is_usable or self._reply is not None:
            raise ConnectionError("the connection is closed")
        self._head_size, self._is_kept = 0, False
        reply = self._reply = HttpReply(self, deadlines, began, held)
        try:
            if len(body) <= _PIECE:
                self._transport.write(head + body)
            else:
                await self._send_large(self._transport, head, memoryview(body), reply)
            await reply.head()
        except BaseException:
            self.abort()
            raise
        return reply

    async def _send_large(
        self, transport: asyncio.Transport, head: bytes, body: memoryview, reply: HttpReply
    ) -> None:
        """Send it piece by piece. A reply that comes before the end, such as a refusal, ends it."""
        transport.write(head)
        for start in range(0, len(body), _PIECE):
            if reply.status or reply.error is not None:
                self._is_kept = False
                return
            transport.write(body[start : start + _PIECE])
            reply.heard()
            if self._drained is not None:
                await self._drained

    @property
    def is_usable(self) -> bool:
        """Whether neither side has closed it."""
        return self._is_open and self._transport is not None and not self._transport.is_closing()

    @property
    def was_silent(self) -> bool:
        """Whether nothing of a reply has come."""
        return self._reply is None or not self._reply.has_begun

    def release(self) -> bool:
        """The reply is not needed any more. False: the connection cannot be used again, and ends."""
        reply, self._reply = self._reply, None
        if reply is not None and reply.is_complete and self._is_kept and self.is_usable:
            self.resume()
            return True
        self.abort()
        return False

    def pause(self) -> None:
        """Read no more for now."""
        if not self.is_paused and self._transport is not None and self.is_usable:
            self.is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.is_paused and self._transport is not None and self.is_usable:
            self.is_paused = False
            if self._reply is not None:
                self._reply.heard()
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close it at once."""
        self._is_open = False
        if self._reply is not None:
            self._reply.end(ConnectionError("the exchange was given up"))
        if self._transport is not None:
            self._transport.abort()

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands, with TLS where it has that."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """A part of a reply."""
        reply = self._reply
        if reply is None or reply.is_complete:
            self.abort()  # nobody asked for it
            return
        reply.has_begun = True
        reply.heard()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not reply.is_complete:
                self._break(f"the reply is no HTTP: {error}")
            self._is_kept = False
        if not reply.status:  # the body may have come with the head
            self._head_size += len(data)
            if self._head_size > _MOST_HEAD:
                self._break(f"the head of the reply has more than {_MOST_HEAD} bytes")

    def eof_received(self) -> None:
        """The other side has closed: `connection_lost` follows."""

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed, from either side."""
        self._is_open = False
        reply = self._reply
        if reply is not None:
            if error is None and reply.status and self._until_closed:
                reply.end()
            else:
                reply.end(ConnectionError(str(error) if error else _lost(reply)))
        self.resume_writing()
        self._on_end(self)

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """It does again."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # what httptools calls

    def on_message_begin(self) -> None:
        """A head begins; a 100 or 103 comes before that of the reply."""
        self._headers = CIMultiDict()
        if self._reply is None or self._reply.is_complete:
            self.abort()  # nobody asked for it

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; behind the body, a trailer, which nobody reads."""
        if self._reply is not None and not self._reply.status:
            self._headers.add(name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        status, reply = self._parser.get_status_code(), self._reply
        if reply is None or reply.status or status < 200:
            return
        self._is_kept = self._parser.should_keep_alive()
        self._until_closed = "Content-Length" not in self._headers and (
            "chunked" not in self._headers.get("Transfer-Encoding", "").lower()
        )
        reply.begin(status, self._headers)
        self.resume_writing()

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        if self._reply is not None and not self._reply.is_complete:
            self._reply.feed(data)

    def on_message_complete(self) -> None:
        """The reply is whole."""
        if self._reply is not None and self._reply.status:
            self._reply.end()

    def _break(self, why: str) -> None:
        if self._reply is not None:
            self._reply.end(ConnectionError(why))
        self.abort()


def _lost(reply: HttpReply) -> str:
    return "the reply ended early" if reply.has_begun else "the connection was closed without a reply"


_NO_HEADERS: Final[CIMultiDictProxy[str]] = CIMultiDictProxy(CIMultiDict())
