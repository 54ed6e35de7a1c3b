"""A TCP proxy that breaks one event stream in its middle, at a place that a test has chosen.

Who uses it: the tests that follow a job with other people's clients. It passes bytes on as they are.
"""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.support.servers import Address

_EVENT: Final = b"event: image\n"
_SNAPSHOT: Final = re.compile(rb"event: snapshot\ndata: .*\nid: (\d+)\n\n")
_RESET: Final = struct.pack("ii", 1, 0)
"""Linger for no time: closing resets the connection."""


@dataclass(frozen=True)
class Cut:
    """Where the first stream breaks, at its `number`-th `image` event, and how.

    `place`: `name` is behind the event's name, `data` is in its data, `end` is behind the event.
    """

    place: str
    reset: bool = False
    number: int = 10

    def position(self, received: bytes) -> int | None:
        """How many bytes of the answer pass; None while the place is not in sight."""
        found = [one.start() for one in re.finditer(re.escape(_EVENT), received)]
        if len(found) < self.number:
            return None
        start = found[self.number - 1]
        if self.place == "name":
            return start + len(_EVENT)
        if self.place == "data":
            return start + len(_EVENT) + 40
        end = received.find(b"\n\n", start)
        return None if end < 0 else end + 2


@dataclass
class CuttingProxy:
    """`heads` are those of all requests; `snapshot_id` is the id of the last snapshot that passed."""

    target: Address
    cut: Cut | None = None
    port: int = 0
    heads: list[str] = field(default_factory=list)
    snapshot_id: int | None = None
    cuts: int = 0
    _tasks: "set[asyncio.Task[None]]" = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where clients come in."""
        return f"http://127.0.0.1:{self.port}"

    def resumed_from(self) -> list[str]:
        """The ids that were sent as `Last-Event-ID`, in order."""
        found = (
            re.search(r"^last-event-id: *(\S*)\r?$", one, re.MULTILINE | re.IGNORECASE) for one in self.heads
        )
        return [one[1] for one in found if one]

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far, near = await asyncio.open_connection(self.target.host, self.target.port)
        try:
            sending = asyncio.create_task(self._requests(reader, near))
            await self._answers(far, writer)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        except ConnectionError:
            pass  # one side has left, and so does the other
        finally:
            near.close()
            writer.close()

    async def _requests(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if data.startswith((b"GET ", b"POST ")):
                self.heads.append(data.partition(b"\r\n\r\n")[0].decode("latin-1"))
            near.write(data)
        near.close()

    async def _answers(self, far: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = b""
        passed = 0
        while data := await far.read(1 << 16):
            received += data
            end = self.cut.position(received) if self.cut is not None and not self.cuts else None
            writer.write(received[passed : len(received) if end is None else end])
            passed = len(received)
            await writer.drain()
            self._note_snapshot(received)
            if end is not None:
                self._break(writer)
                return

    def _note_snapshot(self, received: bytes) -> None:
        if found := _SNAPSHOT.search(received):
            self.snapshot_id = int(found[1])

    def _break(self, writer: asyncio.StreamWriter) -> None:
        self.cuts += 1
        if self.cut is not None and self.cut.reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


@asynccontextmanager
async def cutting(target: Address, cut: Cut | None = None) -> AsyncIterator[CuttingProxy]:
    """The proxy until the end of the block."""
    proxy = CuttingProxy(target, cut)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0, limit=1 << 20)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
