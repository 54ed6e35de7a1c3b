"""Downloads of result files from FAL's media hosts: never with the key, never anywhere else.

Who calls it: the gateway. A file that ends early is an error, never a short file.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urljoin

import aiohttp

from image2model.errors import FalRejected, FalResultGone
from image2model.fal.failures import FalUnreachable
from image2model.fal.session import FalSession, network_faults

CHUNK = 1 << 16
_READ_BUFFER = 1 << 18
_MOST_REDIRECTS = 5
_HEADERS = {"Accept-Encoding": "identity"}


class FalDownload:
    """An open file: `size` in bytes where the host says it, `content_type`, and the bytes themselves."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.size = None if response.headers.get("Content-Encoding") else response.content_length
        self.content_type = response.headers.get("Content-Type")

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The file in pieces of 64 KiB or more, the last one less. Raises FalUnreachable if it ends early."""
        received = 0
        pending = bytearray()
        with network_faults(str(self._response.url)):
            async for part in self._response.content.iter_any():
                received += len(part)
                pending += part
                if len(pending) >= CHUNK:
                    yield bytes(pending)
                    pending.clear()
        if pending:
            yield bytes(pending)
        if self.size is not None and received != self.size:
            raise FalUnreachable(f"the file ended after {received} of {self.size} bytes")


class Downloads:
    """Opens files. `deadline`: seconds for a whole file; `read_deadline`: for the next bytes of it."""

    def __init__(self, session: FalSession, *, deadline: float, read_deadline: float) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=deadline, sock_connect=10, sock_read=read_deadline)

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[FalDownload]:
        """The file behind the URL. See `FalGateway.download`."""
        for _ in range(_MOST_REDIRECTS):
            async with self._get(url) as response:
                if response.status not in (301, 302, 303, 307, 308):
                    _check(response)
                    yield FalDownload(response)
                    return
                url = urljoin(url, response.headers.get("Location", ""))
        raise FalRejected(f"more than {_MOST_REDIRECTS} redirects")

    @asynccontextmanager
    async def _get(self, url: str) -> AsyncIterator[aiohttp.ClientResponse]:
        if not self._session.hosts.serves_media(url):
            raise FalRejected(f"{url[:200]} is on none of FAL's media hosts")
        async with self._session.exchange(
            "GET", url, headers=_HEADERS, timeout=self._timeout, read_bufsize=_READ_BUFFER
        ) as response:
            yield response


def _check(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status == 200:
        return
    if status in (404, 410):
        raise FalResultGone("the file is gone from FAL's media host", status=status)
    raise FalUnreachable(f"FAL's media host answered {status}", status=status)
