"""A client of event streams over a plain connection: status, headers, events, comments.

Who calls it: tests of the event streams. It reads exactly what it is asked for, so a test decides how
slow a client is.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.support.servers import Address


@dataclass(frozen=True)
class Message:
    """One event as it came."""

    id: int
    event: str
    data: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.data)

    @property
    def brief(self) -> tuple[str, str]:
        """The kind, and the image's or the job's status."""
        document = self.json
        return self.event, (document.get("image") or document).get("status", "")


@dataclass
class Stream:
    """An answer that has begun."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    comments: int = 0
    retry: int | None = None
    _text: bytes = b""

    async def begin(self) -> None:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.status = int(head[0].split()[1])
        self.headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}

    async def next(self, within: float = 60.0) -> Message | None:
        """The next event; None when the stream has ended in good order. A cut raises IncompleteReadError."""
        async with asyncio.timeout(within):
            while True:
                while b"\n\n" not in self._text:
                    chunk = await self._chunk()
                    if not chunk:
                        return None
                    self._text += chunk
                block, _, self._text = self._text.partition(b"\n\n")
                if message := self._message(block.decode()):
                    return message

    async def take(self, count: int) -> list[Message]:
        """The next `count` events."""
        return [message async for message in self._some(count)]

    async def rest(self, within: float = 60.0) -> list[Message]:
        """All events to the end of the stream."""
        found = []
        while message := await self.next(within):
            found.append(message)
        return found

    async def body(self) -> bytes:
        """The body of an answer with a length."""
        return await self.reader.readexactly(int(self.headers.get("content-length", 0)))

    async def _some(self, count: int) -> AsyncIterator[Message]:
        for _ in range(count):
            message = await self.next()
            assert message is not None, "the stream ended"
            yield message

    async def _chunk(self) -> bytes:
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    def _message(self, block: str) -> Message | None:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            if line.startswith(":"):
                self.comments += 1
            elif name == "retry":
                self.retry = int(value)
            else:
                fields[name] = value
        if not fields:
            return None
        return Message(int(fields["id"]), fields["event"], fields["data"])


@asynccontextmanager
async def opened(
    address: Address,
    path: str,
    *,
    last_id: int | str | None = None,
    owner: str = "ann",
    method: str = "GET",
    key: str = "",
) -> AsyncIterator[Stream]:
    """Ask for a stream, with an API key if one is given; the connection is closed at the end of the block."""
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=8 * 1024 * 1024)
    resume = "" if last_id is None else f"Last-Event-ID: {last_id}\r\n"
    bearer = f"Authorization: Bearer {key}\r\n" if key else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: test\r\nX-Owner: {owner}\r\n{resume}{bearer}\r\n"
    writer.write(head.encode())
    stream = Stream(reader, writer)
    try:
        await stream.begin()
        yield stream
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            stream.status = stream.status  # the server cut it first, which some tests are about


def job_path(job_id: str) -> str:
    """The stream of one job."""
    return f"/api/v1/status/stream/{job_id}"


EVENTS = "/api/v1/events"
