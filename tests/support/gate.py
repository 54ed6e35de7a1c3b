"""A TCP proxy that holds one message at the moment a test chose, in front of FAL or of the store.

Used by tests that kill or stop a process exactly between two steps. It passes bytes on as they are; a
`Hold` names a message by its bytes and stops either the message itself or the answer to it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlsplit

from image2model.store.scripts import Script

Matches = Callable[[bytes], bool]


class Hold:
    """The first message that matches is held. `reached`: it is; `release` lets it pass."""

    def __init__(self, matches: Matches, *, answer: bool) -> None:
        self.reached = asyncio.Event()
        self.answer = answer
        self._matches = matches
        self._released = asyncio.Event()

    def wants(self, message: bytes) -> bool:
        """Whether this message is the one; only the first is."""
        return not self.reached.is_set() and self._matches(message)

    async def stand(self) -> None:
        """Stand here until released."""
        self.reached.set()
        await self._released.wait()

    def release(self) -> None:
        """Let it pass."""
        self._released.set()


class Gate:
    """`port` is on loopback. What its clients send goes to `target`, a URL: http, or unix."""

    def __init__(self, target: str) -> None:
        self.port = 0
        self._target = urlsplit(target)
        self._holds: list[Hold] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def hold(self, matches: Matches, *, answer: bool) -> Hold:
        """Hold the first message that matches, or with `answer` what comes back for it."""
        hold = Hold(matches, answer=answer)
        self._holds.append(hold)
        return hold

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # an end went away, which is what such tests are about
            await _Connection(self, reader, writer).run()

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to what is behind the gate."""
        if self._target.scheme == "unix":
            return await asyncio.open_unix_connection(unquote(self._target.path))
        return await asyncio.open_connection(self._target.hostname, self._target.port)

    def holding(self, message: bytes) -> Hold | None:
        """The hold for this message."""
        return next((hold for hold in self._holds if hold.wants(message)), None)

    async def stop(self) -> None:
        """End what still runs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Connection:
    def __init__(self, gate: Gate, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._gate = gate
        self._reader = reader
        self._writer = writer
        self._standing: Hold | None = None

    async def run(self) -> None:
        reader, writer = await self._gate.open()
        ways = [
            asyncio.create_task(self._there(self._reader, writer)),
            asyncio.create_task(self._back(reader, self._writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.close()  # first: the wait below may be cancelled when the gate stops
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while message := await reader.read(1 << 16):
            hold = self._gate.holding(message)
            if hold is not None and hold.answer:
                self._standing = hold
            elif hold is not None:
                await hold.stand()
            writer.write(message)
            await writer.drain()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while message := await reader.read(1 << 16):
            if self._standing is not None:
                await self._standing.stand()
                self._standing = None
            writer.write(message)
            await writer.drain()


@asynccontextmanager
async def gate_to(target: str) -> AsyncIterator[Gate]:
    """A gate in front of `target`; every connection is closed at the end."""
    gate = Gate(target)
    server = await asyncio.start_server(gate.accept, "127.0.0.1", 0)
    gate.port = server.sockets[0].getsockname()[1]
    try:
        yield gate
    finally:
        server.close()
        await gate.stop()
        await server.wait_closed()


def calls(script: str, *words: bytes) -> Matches:
    """A call of one of the store's scripts, loaded before, whose arguments hold `words`."""
    sha = sha_of(script).encode()
    return lambda message: sha in message and all(word in message for word in words)


def nth(number: int, matches: Matches) -> Matches:
    """The message that is the so manieth to match, from 1."""
    seen = 0

    def this_one(message: bytes) -> bool:
        nonlocal seen
        seen += matches(message)
        return seen == number

    return this_one


def sha_of(script: str) -> str:
    """How EVALSHA names a script of the store."""
    found = Script(script)
    found.load()
    return found._sha
