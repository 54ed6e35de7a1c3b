"""Downloads result files: never with FAL's key, and from other hosts only through the address guard.

A file that ends early is an error, never a short file.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol
from urllib.parse import urljoin, urlsplit

import aiohttp
from multidict import CIMultiDictProxy

from image2model.errors import FalResultGone
from image2model.fal.errors import FalAddressRefused, FalUnreachable
from image2model.fal.exchange import Deadlines
from image2model.fal.session import FalSession, network_faults
from image2model.network.guard import GuardedSession, UrlRefused, refused

CHUNK: Final = 1 << 16
_READ_BUFFER: Final = 1 << 18
_MAX_REDIRECTS: Final = 5
_HEADERS: Final = {"Accept-Encoding": "identity"}
_MIN_SPEED: Final = 16 << 10
"""Bytes a second that a transfer must reach after its start: a slow host would hold a slot without end."""


Address = Callable[[str], Awaitable[str]]
"""Raises FalResultGone and FalUnreachable, as the download does."""


class FalDownload:
    """An open file: `size` in bytes where the host gives it, `content_type`, and the bytes themselves."""

    def __init__(self, reply: "_FileReply", url: str, *, slow_start: float) -> None:
        self._part = reply.part
        self._url = url
        self._slow_start = slow_start
        self.size = None if reply.headers.get("Content-Encoding") else reply.content_length
        self.content_type = reply.headers.get("Content-Type")

    async def chunks(self, on_data: Callable[[], None] = lambda: None) -> AsyncGenerator[bytes, None]:
        """The file in pieces of 64 KiB or more, the last one less. `on_data` is called whenever bytes come.

        Raises FalUnreachable if it ends early.
        """
        received = 0
        pending = bytearray()
        began = time.monotonic()
        with network_faults(self._url, shown_as=_shown(self._url)):
            while part := await self._part():
                received += len(part)
                on_data()
                pending += part
                if len(pending) >= CHUNK:
                    waited = time.monotonic()
                    yield bytes(pending)
                    began += time.monotonic() - waited  # the reader's own time is not the host's
                    pending.clear()
                elif received < _MIN_SPEED * (time.monotonic() - began - self._slow_start):
                    raise FalUnreachable(f"the file arrives at less than {_MIN_SPEED >> 10} KiB a second")
        if pending:
            yield bytes(pending)
        if self.size is not None and received != self.size:
            raise FalUnreachable(f"the file ended after {received} of {self.size} bytes")


class Downloads:
    """Opens files. A whole file may take as long as it is large. `address`: the address to fetch a file from
    now, made anew for each try, because signed ones run out.

    `read_deadline`: seconds for the answer, and for the next bytes; `slow_start`: seconds after which a file
    must have come at 16 KiB a second.
    """

    def __init__(
        self,
        session: FalSession,
        guarded: GuardedSession,
        *,
        read_deadline: float,
        slow_start: float,
        address: Address | None = None,
    ) -> None:
        self._session = session
        self._address = address
        self._guarded = guarded
        self._slow_start = slow_start
        self._deadlines = Deadlines(silence=read_deadline)
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=read_deadline)

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[FalDownload]:
        """The file behind the URL. See `FalGateway.download`."""
        if self._address is not None:
            url = await self._address(url)
        for _ in range(_MAX_REDIRECTS):
            async with self._get(url) as reply:
                if reply.status not in (301, 302, 303, 307, 308):
                    _check(reply.status)
                    yield FalDownload(reply, url, slow_start=self._slow_start)
                    return
                url = _redirect_target(url, reply.headers.get("Location", ""))
        raise FalUnreachable(f"the file's host answered with more than {_MAX_REDIRECTS} redirects")

    @asynccontextmanager
    async def _get(self, url: str) -> AsyncIterator["_FileReply"]:
        """Each redirect is checked anew: FAL's own hosts by name, all others by the address guard."""
        if self._session.hosts.serves_media(url):
            exchange = await self._session.begin_get(
                url, headers=_HEADERS, deadlines=self._deadlines, held=_READ_BUFFER, shown_as=_shown(url)
            )
            try:
                yield exchange.reply
            finally:
                exchange.end()
        else:
            async with self._from_other_host(url) as reply:
                yield reply

    @asynccontextmanager
    async def _from_other_host(self, url: str) -> AsyncIterator["_FileReply"]:
        request = self._guarded.request(
            "GET", url, headers=_HEADERS, timeout=self._timeout, read_bufsize=_READ_BUFFER
        )
        try:
            with network_faults(url, shown_as=_shown(url)):
                response = await request.__aenter__()
        except FalUnreachable as error:
            raise _refused_address(url, error.__cause__) or error from error.__cause__
        try:
            yield _OtherHost(response)
        finally:
            await request.__aexit__(None, None, None)


class _FileReply(Protocol):
    """What a download needs of a reply. `part`: the next bytes, none at the end."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> CIMultiDictProxy[str]: ...
    @property
    def content_length(self) -> int | None: ...
    async def part(self) -> bytes: ...


class _OtherHost:
    """The same, of a host other than FAL's."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.content_length = response.content_length
        self.part = response.content.readany


def _redirect_target(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise FalUnreachable("the file's host redirects to an invalid URL") from error


def _refused_address(url: str, cause: BaseException | None) -> FalAddressRefused | None:
    if cause is None or not refused(cause):
        return None
    if isinstance(cause, UrlRefused):
        return FalAddressRefused(f"{_shown(url)} {cause}")
    return FalAddressRefused(f"{_shown(url)} does not lead to a public address")


def _shown(url: str) -> str:
    """A file's URL for messages: its host alone, because anyone who has the whole URL may fetch the file."""
    try:
        return f"its URL at {urlsplit(url).hostname}"
    except ValueError:
        return "its URL"


def _check(status: int) -> None:
    if status == 200:
        return
    if status in (404, 410):
        raise FalResultGone(f"the file is gone: its host answered {status}", status=status)
    raise FalUnreachable(f"the file's host answered {status}", status=status)
