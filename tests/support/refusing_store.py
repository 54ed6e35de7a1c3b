"""A server of Redis' protocol that answers each command with one line: replies that no test can provoke in
a real server at will.

The handshake of redis-py (CLIENT SETINFO, SELECT) is answered with OK.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def refusing_store(reply: bytes) -> AsyncIterator[str]:
    """The URL of a running one. `reply` is the whole line, such as `-BUSY ...`; empty: it hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while command := await _command(reader):
                writer.write(b"+OK\r\n" if command[0] in (b"CLIENT", b"SELECT") else reply + b"\r\n")
                await writer.drain()
                if not reply:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client went away
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()


async def _command(reader: asyncio.StreamReader) -> list[bytes]:
    count = await reader.readline()
    words = []
    for _ in range(int(count[1:] or 0)):
        size = int((await reader.readline())[1:])
        words.append((await reader.readexactly(size + 2))[:-2])
    return words
