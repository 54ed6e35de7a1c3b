"""Exchanges with a server whose replies a test writes byte by byte.

Who calls it: the tests of HTTP with FAL.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from image2model.fal.connections import Exchange, HttpConnections
from image2model.fal.exchange import Deadlines

PATIENT = Deadlines(total=20)
OK = b"HTTP/1.1 200 OK\r\n"
MIB = 1 << 20
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


class Kept:
    """A server that keeps its connections; `opened` counts them, and `ended` those that the client closed."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.url = ""
        self.requests = 0
        self.opened = 0
        self.ended = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.opened += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                await self._answer(reader, writer, self.requests)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended += 1
        except asyncio.CancelledError:
            pass  # the test has ended
        finally:
            self.tasks.discard(task)
            writer.close()


@asynccontextmanager
async def kept(answer: Answer) -> AsyncIterator[Kept]:
    made = Kept(answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    try:
        yield made
    finally:
        server.close()
        for task in list(made.tasks):
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
        await server.wait_closed()


async def begin(connections: HttpConnections, url: str, method: str = "GET", **more: object) -> Exchange:
    given = {"headers": {}, "deadlines": PATIENT, **more}
    return await connections.begin(method, url, **given)  # type: ignore[arg-type]


async def fetched(connections: HttpConnections, url: str, method: str = "GET", **more: object) -> bytes:
    exchange = await begin(connections, url, method, **more)
    try:
        return await exchange.reply.whole(64 * MIB)
    finally:
        exchange.end()


async def hello(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
    body = b"hello %d" % number
    writer.write(OK + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
