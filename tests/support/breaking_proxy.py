"""A proxy that breaks connections off: event streams inside their second event, and answers to uploads.

Who uses it: the tests of clients that must neither lose an event nor get one twice.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_EVENTS = b"text/event-stream"
_END = b"\r\n0\r\n\r\n"
_UPLOAD = b"POST /api/v1/upload/batch"


@dataclass
class BreakingProxy:
    """`url` is where it listens. `streams`: how many are cut; `uploads`: how many answers are lost."""

    host: str
    port: int
    streams: int
    uploads: int
    random: random.Random
    url: str = ""
    cut_streams: int = 0
    lost_answers: int = 0
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        there, to = await asyncio.open_connection(self.host, self.port)
        connection = _Connection(self, writer, to)
        both = [asyncio.create_task(connection.up(reader)), asyncio.create_task(connection.down(there))]
        self._open.update(both)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            self._open.difference_update(both)
            for end in (writer, to):
                end.transport.abort()

    async def stop(self) -> None:
        """End what is still open."""
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


class _Connection:
    def __init__(
        self, proxy: BreakingProxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._loses = False
        self._stream: bytearray | None = None

    async def up(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            if _UPLOAD in data and self._proxy.lost_answers < self._proxy.uploads:
                self._loses = True
            self._server.write(data)
            await self._server.drain()

    async def down(self, reader: asyncio.StreamReader) -> None:
        proxy = self._proxy
        while data := await reader.read(65536):
            if self._loses:
                proxy.lost_answers += 1
                return
            if _EVENTS in data and proxy.cut_streams < proxy.streams:
                self._stream = bytearray()
            if self._stream is not None:
                before = len(self._stream)
                self._stream += data
                end = self._first_event()
                if end is not None and len(self._stream) > end + 1:
                    cut = proxy.random.randrange(end + 1, min(len(self._stream), end + 500))
                    self._client.write(data[: max(0, cut - before)])
                    await self._client.drain()
                    proxy.cut_streams += 1
                    return
                if data.endswith(_END):  # in good order: the next answer is another call's
                    self._stream = None
            self._client.write(data)
            await self._client.drain()

    def _first_event(self) -> int | None:
        """Where it ends in the stream's bytes."""
        assert self._stream is not None
        begun = self._stream.find(b"data: ")
        end = self._stream.find(b"\n\n", begun) if begun >= 0 else -1
        return end + 2 if end >= 0 else None


@asynccontextmanager
async def breaking_proxy(
    url: str, *, streams: int = 10_000, uploads: int = 0, seed: int = 0
) -> AsyncIterator[BreakingProxy]:
    """A running one in front of `url`, on a free port."""
    host, _, port = url.removeprefix("http://").partition(":")
    proxy = BreakingProxy(host, int(port), streams, uploads, random.Random(seed))
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.stop()
        await server.wait_closed()
