"""The connections to FAL's hosts: opened, kept for the next exchange, and closed.

No redirect is followed, no proxy and no cookie used. Who may get the key is decided before (`hosts`).
"""

import asyncio
import re
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple, cast
from urllib.parse import quote, urlencode

import aiohappyeyeballs

from image2model.fal.exchange import Deadlines, HttpConnection, HttpReply
from image2model.fal.hosts import escaped, origin_of

_IDEMPOTENT: Final = frozenset({"GET", "PUT", "DELETE"})
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_LOOKUP_S: Final = 300.0
"""How long a name's addresses count."""
_NEXT_ADDRESS_S: Final = 0.25
"""After so long without a connection the next address is tried beside, as RFC 8305 has it."""
_DRAIN_S: Final = 0.5
_DRAINED_BYTES: Final = 1 << 14
"""A reply whose end nobody needs is read on for so long, so that its connection is kept."""
_BROKEN: Final = re.compile(r"[\r\n\0]")

AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]


class Origin(NamedTuple):
    """Where a connection leads. `host_header`: as the URL has host and port."""

    is_tls: bool
    host: str
    port: int
    host_header: str


class HttpConnections:
    """Belongs to one event loop. `headers`: of all requests. `keep_s`: how long an idle connection is kept;
    `most`: exchanges at once."""

    def __init__(self, headers: Mapping[str, str], *, keep_s: float, most: int | None = None) -> None:
        self._lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        self._keep_s = keep_s
        self._free = None if most is None else asyncio.Semaphore(most)
        self._idle: dict[Origin, deque[HttpConnection]] = {}
        self._open: set[HttpConnection] = set()
        self._lookups: dict[tuple[str, int], tuple[float, asyncio.Task[list[AddressInfo]]]] = {}
        self._tls: ssl.SSLContext | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._all_lost: asyncio.Future[None] | None = None

    async def begin(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        deadlines: Deadlines,
        body: bytes | None = None,
        held: int = 1 << 16,
        before_send: Callable[[], Awaitable[None]] | None = None,
    ) -> "Exchange":
        """Send a request; the head of its reply is there. End the exchange with `end`. `held`: see HttpReply.

        `before_send` is awaited once the connection stands, right before the first byte. What may be repeated
        is sent once more where the other side has closed a kept connection meanwhile.
        Raises OSError, ValueError for what is no URL, and what `before_send` raises.
        """
        origin, target = _split(url)
        head = self._head(method, origin, target, headers, body)
        began = asyncio.get_running_loop().time()
        if self._free is not None:
            await self._free.acquire()
        try:
            return await self._send(
                origin, head, body or b"", deadlines, began, held, before_send, repeats=method in _IDEMPOTENT
            )
        except BaseException:
            self._freed()
            raise

    async def close(self) -> None:
        """Close every connection."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._open):
            connection.abort()
        for _, looking in self._lookups.values():
            looking.cancel()
        if self._open:
            self._all_lost = asyncio.get_running_loop().create_future()
            await self._all_lost

    async def _send(
        self,
        origin: Origin,
        head: bytes,
        body: bytes,
        deadlines: Deadlines,
        began: float,
        held: int,
        before_send: Callable[[], Awaitable[None]] | None,
        *,
        repeats: bool,
    ) -> "Exchange":
        connection = self._kept(origin)
        was_kept = connection is not None
        if connection is None:
            connection = await self._connected(origin, deadlines, began)
        try:
            if before_send is not None:
                await before_send()
            reply = await connection.send(head, body, deadlines, began=began, held=held)
        except ConnectionError:
            connection.abort()
            if not (was_kept and repeats and connection.was_silent):
                raise
            connection = await self._connected(origin, deadlines, began)
            reply = await connection.send(head, body, deadlines, began=began, held=held)
        except BaseException:
            connection.abort()
            raise
        return Exchange(self, origin, connection, reply)

    def _head(
        self, method: str, origin: Origin, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        values = "".join(headers.values())
        if _BROKEN.search(values):
            raise ValueError("a header has a line end")
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        length = f"Content-Length: {len(body or b'')}\r\n" if body is not None or method in _WITH_BODY else ""
        text = f"{method} {target} HTTP/1.1\r\nHost: {origin.host_header}\r\n{self._lines}{lines}{length}\r\n"
        return text.encode()

    def _kept(self, origin: Origin) -> HttpConnection | None:
        """The connection that was used last, and has not been idle for too long."""
        idle = self._idle.get(origin)
        earliest = asyncio.get_running_loop().time() - self._keep_s
        while idle:
            connection = idle.pop()
            if connection.is_usable and connection.idle_since > earliest:
                return connection
            connection.abort()
        return None

    async def _connected(self, origin: Origin, deadlines: Deadlines, began: float) -> HttpConnection:
        loop = asyncio.get_running_loop()
        until = None if deadlines.connect is None else loop.time() + deadlines.connect
        if deadlines.total is not None:
            until = began + deadlines.total if until is None else min(until, began + deadlines.total)
        try:
            async with asyncio.timeout_at(until):
                return await self._connect(origin)
        except OSError:
            self._lookups.pop((origin.host, origin.port), None)  # it may have moved
            raise

    async def _connect(self, origin: Origin) -> HttpConnection:
        if self._is_closed:
            raise ConnectionError("the connections are closed")
        sock = await aiohappyeyeballs.start_connection(
            await self._look_up(origin.host, origin.port), happy_eyeballs_delay=_NEXT_ADDRESS_S, interleave=1
        )
        connection = HttpConnection(self._lost)
        self._open.add(connection)
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection,
                sock=sock,
                ssl=await self._tls_context() if origin.is_tls else None,
                server_hostname=origin.host if origin.is_tls else None,
            )
        except BaseException:
            sock.close()
            self._lost(connection)
            raise
        if not connection.is_usable:
            connection.abort()  # `close` came meanwhile
        return connection

    async def _look_up(self, host: str, port: int) -> list[AddressInfo]:
        """A name's addresses, asked for once. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = self._lookups.get((host, port))
        if found is None or found[0] < loop.time() or (found[1].done() and _failed(found[1])):
            looking = loop.create_task(_addresses(host, port))
            looking.add_done_callback(_failed)  # its error is retrieved, whoever still waits
            found = self._lookups[host, port] = (loop.time() + _LOOKUP_S, looking)
        return await asyncio.shield(found[1])

    async def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            context = await asyncio.to_thread(ssl.create_default_context)
            context.set_alpn_protocols(["http/1.1"])
            self._tls = self._tls or context
        return self._tls

    def _lost(self, connection: HttpConnection) -> None:
        self._open.discard(connection)
        if self._all_lost is not None and not self._open and not self._all_lost.done():
            self._all_lost.set_result(None)

    def _freed(self) -> None:
        if self._free is not None:
            self._free.release()

    def give_back(self, origin: Origin, connection: HttpConnection) -> None:
        """Its exchange has ended: keep it, if it can be used again."""
        self._freed()
        if self._is_closed or not connection.release():
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.setdefault(origin, deque()).append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._keep_s, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for too long."""
        loop = asyncio.get_running_loop()
        self._sweeper = None
        earliest = loop.time() - self._keep_s
        for origin, idle in list(self._idle.items()):
            while idle and (not idle[0].is_usable or idle[0].idle_since <= earliest):
                idle.popleft().abort()
            if not idle:
                del self._idle[origin]
        if self._idle:
            self._sweeper = loop.call_later(self._keep_s, self._sweep)


class Exchange:
    """A request that was sent, and its `reply`. Whoever began it ends it."""

    __slots__ = ("_connection", "_connections", "_origin", "reply")

    def __init__(
        self, connections: HttpConnections, origin: Origin, connection: HttpConnection, reply: HttpReply
    ) -> None:
        self._connections = connections
        self._origin = origin
        self._connection = connection
        self.reply = reply

    def end(self) -> None:
        """Nobody reads the reply any more. Its connection is kept, if the reply's end is there, or near."""
        if self.reply.is_complete or self.reply.error is not None:
            self._give_back()
        else:
            self.reply.discard(_DRAINED_BYTES, _DRAIN_S, self._give_back)

    def _give_back(self) -> None:
        self._connections.give_back(self._origin, self._connection)


def with_params(url: str, params: Mapping[str, str]) -> str:
    """The URL with these in its query."""
    if not params:
        return url
    plain, _, fragment = url.partition("#")
    joined = f"{plain}{'&' if '?' in plain else '?'}{urlencode(params, quote_via=quote)}"
    return f"{joined}#{fragment}" if fragment else joined


def _split(url: str) -> tuple[Origin, str]:
    """Where it leads, and what is asked for there. Raises ValueError."""
    parts = escaped(url).split("/", 3)
    path = parts[3].partition("#")[0] if len(parts) > 3 else ""
    return _origin("/".join(parts[:3])), f"/{path}"


@lru_cache(256)  # there are few hosts
def _origin(start: str) -> Origin:
    scheme, host, port = origin_of(start)
    if scheme not in ("http", "https") or not host or port is None or "?" in start or "#" in start:
        raise ValueError(f"no URL of a web server: {start[:200]}")
    return Origin(scheme == "https", host, port, start.partition("//")[2])


async def _addresses(host: str, port: int) -> list[AddressInfo]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return cast("list[AddressInfo]", found)  # the stub also has the form without IPv6


def _failed(looking: "asyncio.Task[list[AddressInfo]]") -> bool:
    return looking.cancelled() or looking.exception() is not None
