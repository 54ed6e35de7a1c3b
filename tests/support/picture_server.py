"""A server of pictures on loopback, as clients name them in addresses: good, slow, endless, wrong.

Its addresses are signed: `SECRET` stands in the query of each, and must be found nowhere afterwards.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tests.support.raw_server import Exchange, RawServer, raw_server

SECRET = "Sig7d41f0cEcretOfOneAddress"
Answering = Callable[[Exchange], Awaitable[None]]


class PictureServer:
    """`pages` are what it answers, by path; what has none is 404."""

    def __init__(self) -> None:
        self.pages: dict[str, Answering] = {}
        self.raw = RawServer(self.answer)

    async def answer(self, exchange: Exchange) -> None:
        """One request."""
        await self.pages.get(self.path_of(exchange), gone)(exchange)

    @staticmethod
    def path_of(exchange: Exchange) -> str:
        return urlsplit(exchange.request_line.split(" ")[1]).path

    def url(self, path: str) -> str:
        """The signed address of a page."""
        return f"{self.raw.url}{path}?X-Signature={SECRET}%2F%2B&v=1"

    def put(self, path: str, *answers: Answering | bytes) -> str:
        """Answer so, one after the other, and the last one ever after. Bytes are a picture. Its address."""
        left = [picture_of(one) if isinstance(one, bytes) else one for one in answers]

        async def page(exchange: Exchange) -> None:
            await (left.pop(0) if len(left) > 1 else left[0])(exchange)

        self.pages[path] = page
        return self.url(path)

    def requests(self, path: str) -> list[Exchange]:
        """Those that came for a page."""
        return [one for one in self.raw.requests if self.path_of(one) == path]


@asynccontextmanager
async def picture_server() -> AsyncIterator[PictureServer]:
    """A running one."""
    server = PictureServer()
    async with raw_server(server.answer) as raw:
        server.raw = raw
        yield server


def picture_of(data: bytes, **headers: str) -> Answering:
    """Answers with a picture."""

    async def page(exchange: Exchange) -> None:
        await exchange.reply("200 OK", data, Content_Type="image/png", **headers)

    return page


def status(line: str, **headers: str) -> Answering:
    """Answers with a status."""

    async def page(exchange: Exchange) -> None:
        await exchange.reply(line, b"<html>sorry</html>", **headers)

    return page


def redirect(url: str, line: str = "302 Found") -> Answering:
    """Sends the client elsewhere."""
    return status(line, Location=url)


def zipped(data: bytes, coding: str = "gzip") -> Answering:
    """Answers compressed, though nobody asked for it."""
    return picture_of(gzip.compress(data), Content_Encoding=coding)


async def gone(exchange: Exchange) -> None:
    """404."""
    await exchange.reply("404 Not Found", b"nothing here")


async def endless(exchange: Exchange) -> None:
    """A body without an end, and without a length."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n\r\n")
    while True:
        await exchange.send(b"\x89PNG\r\n\x1a\n" + bytes(65536))


async def endless_slowly(exchange: Exchange) -> None:
    """The same, a few bytes at a time."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n\r\n")
    while True:
        await exchange.send(b"\x89PNG\r\n\x1a\n")
        await asyncio.sleep(0.05)


def announcing(length: int) -> Answering:
    """Announces so many bytes, and sends none."""

    async def page(exchange: Exchange) -> None:
        await exchange.send(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode())
        await asyncio.Event().wait()

    return page


def cut(data: bytes) -> Answering:
    """Announces more than it sends, and closes."""

    async def page(exchange: Exchange) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(data) + 1000}\r\nConnection: close\r\n\r\n"
        await exchange.send(head.encode() + data)

    return page


def held(data: bytes, go: asyncio.Event) -> Answering:
    """Answers once `go` is set."""

    async def page(exchange: Exchange) -> None:
        await exchange.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[:100])
        await go.wait()
        await exchange.send(data[100:])

    return page
