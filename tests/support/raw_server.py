"""A socket server that answers with bytes of the test's choice: what no well-behaved HTTP server would do.

Used where the wire itself is the fault. It counts the requests whose head arrived whole.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Exchange:
    """One request that arrived: its head and body, and the writer to answer (or not) with."""

    def __init__(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        self.head = head
        self.body = body
        self.writer = writer

    @property
    def request_line(self) -> str:
        """Such as `GET /path HTTP/1.1`."""
        return self.head.split(b"\r\n", 1)[0].decode()

    def header(self, name: str) -> str | None:
        """A header's value, None without it."""
        found = re.search(rb"(?im)^" + name.encode() + rb":[ \t]*(.*?)\r$", self.head)
        return found[1].decode() if found else None

    async def send(self, data: bytes) -> None:
        """Send these bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, status: str, body: bytes = b"", **headers: str) -> None:
        """A whole, proper reply."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


Script = Callable[[Exchange], Awaitable[None]]


class RawServer:
    """`requests` are all that arrived; the script answers each. After it the connection is closed."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[Exchange] = []
        self.arrived = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._one(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, which is what some tests are about
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        exchange = Exchange(head, body, writer)
        self.requests.append(exchange)
        self.arrived.set()
        await self._script(exchange)

    async def stop(self) -> None:
        """End what still runs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def raw_server(script: Script) -> AsyncIterator[RawServer]:
    """A running one on a free port of loopback."""
    raw = RawServer(script)
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield raw
    finally:
        server.close()
        await raw.stop()
        await server.wait_closed()


async def never(_exchange: Exchange) -> None:
    """Keep the connection open and say nothing."""
    await asyncio.Event().wait()
