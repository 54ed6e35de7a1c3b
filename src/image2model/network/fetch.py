"""Fetches one file from an address that a client has sent, whole and bounded in time and bytes.

An address may be signed, so no exception and no message here contains it, or any part of it.
"""

import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from urllib.parse import urljoin

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from image2model.network.guard import GuardedSession, UrlRefused, refused
from image2model.network.public_addresses import ascii_url

DEADLINE_S: Final = 60.0
_CONNECT_S: Final = 10.0
_SILENCE_S: Final = 20.0
_MAX_REDIRECTS: Final = 5
_CHUNK: Final = 1 << 16
_PIECE: Final = 1 << 20
_LONGEST_WAIT_S: Final = 60.0
_HEADERS: Final = {"Accept": "image/*, */*;q=0.1", "Accept-Encoding": "identity"}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TRANSIENT: Final = frozenset({408, 425, 429})

Room = Callable[[int], AbstractAsyncContextManager[None]]
"""Waits for room for so many bytes, and keeps it for the length of the block."""


class NotFetched(Exception):
    """Why there is no file. `transient`: the same address may work later, maybe after `wait_s` seconds."""

    def __init__(self, message: str, *, transient: bool = False, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.transient = transient
        self.wait_s = wait_s


class Fetcher:
    """Fetches files over one session. A file has at most `most` bytes, and comes within `deadline_s`."""

    def __init__(
        self, session: GuardedSession, *, most: int, room: Room, deadline_s: float = DEADLINE_S
    ) -> None:
        self._session = session
        self._most = most
        self._room = room
        self._timeout = aiohttp.ClientTimeout(
            total=deadline_s, sock_connect=_CONNECT_S, sock_read=min(_SILENCE_S, deadline_s)
        )
        self._deadline_s = deadline_s

    @asynccontextmanager
    async def file(self, url: str) -> AsyncIterator[bytes]:
        """The whole file; its room is kept for the length of the block. Raises NotFetched."""
        async with self._opened(url) as response:
            length = response.content_length
            coded = response.headers.get("Content-Encoding", "identity").strip().lower()
            if length is not None and length > self._most and coded == "identity":
                raise self._too_large()
            size = self._most if length is None or coded != "identity" else length
            async with self._room(size):
                data = await self._read(response, coded)
                response.close()
                yield data

    @asynccontextmanager
    async def _opened(self, url: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response behind the redirects, each of which is checked anew."""
        for _ in range(_MAX_REDIRECTS + 1):
            request = self._session.request("GET", url, headers=_HEADERS, timeout=self._timeout)
            response = await self._begun(request)
            try:
                if response.status not in _REDIRECTS:
                    _check_status(response)
                    yield response
                    return
                url = ascii_url(urljoin(url, response.headers.get("Location", "")))
            finally:
                await request.__aexit__(None, None, None)
        raise NotFetched(f"The address redirects more than {_MAX_REDIRECTS} times.")

    async def _begun(
        self, request: AbstractAsyncContextManager[aiohttp.ClientResponse]
    ) -> aiohttp.ClientResponse:
        try:
            return await request.__aenter__()
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            failure = error
        raise self._failed(failure) from None

    async def _read(self, response: aiohttp.ClientResponse, coded: str) -> bytes:
        if coded not in ("identity", "gzip", "x-gzip", "deflate"):
            raise NotFetched(
                "The server sends the picture in a coding that was not asked for. Have it send the file as "
                "it is."
            )
        inflate = None if coded == "identity" else zlib.decompressobj(wbits=47)
        data = bytearray()
        failure: BaseException
        try:
            async for chunk in response.content.iter_chunked(_CHUNK):
                for piece in [chunk] if inflate is None else _inflated(inflate, chunk):
                    data += piece
                    if len(data) > self._most:
                        raise self._too_large()
            if inflate is None or inflate.eof:
                return bytes(data)
            raise NotFetched("The server's answer ended early.", transient=True)
        except zlib.error:
            failure = aiohttp.ClientPayloadError()
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            failure = error
        raise self._failed(failure) from None

    def _too_large(self) -> NotFetched:
        return NotFetched(f"The file is larger than {self._most} bytes. Use a smaller one.")

    def _failed(self, failure: BaseException) -> NotFetched:
        cause = failure.os_error if isinstance(failure, aiohttp.ClientConnectorError) else failure
        if refused(failure) or isinstance(failure, UrlRefused):
            return NotFetched(
                "The address, or one that it redirects to, is not a public internet address. Use one that "
                "everybody can reach by http or https, or send the file itself."
            )
        if isinstance(failure, TimeoutError) or isinstance(cause, TimeoutError):
            return NotFetched(
                f"The server did not send the picture within {self._deadline_s:g} s.", transient=True
            )
        if isinstance(failure, aiohttp.ClientConnectorDNSError):
            return NotFetched("The host's name does not resolve. Check the address.", transient=True)
        if isinstance(failure, aiohttp.ClientSSLError):
            return NotFetched("The server's TLS certificate is not valid for its host.", transient=True)
        if isinstance(failure, (aiohttp.ClientConnectorError, aiohttp.ServerConnectionError)):
            return NotFetched("The server cannot be reached.", transient=True)
        return NotFetched("The server's answer broke off, or was no HTTP.", transient=True)


def _inflated(inflate: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    """What the chunk means, a piece at a time: whoever has enough makes no more."""
    while chunk:
        yield inflate.decompress(chunk, _PIECE)
        chunk = inflate.unconsumed_tail


def _check_status(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status == 200:
        return
    if status in _TRANSIENT or status >= 500:
        raise NotFetched(f"The server answered {status}.", transient=True, wait_s=_retry_after(response))
    if status in (401, 403):
        raise NotFetched(
            f"The server answered {status}: the address needs a login, or its signature has run out. Send an "
            "address that anybody can open at this time, or the file itself."
        )
    if status in (404, 410):
        raise NotFetched(f"The server answered {status}: there is no picture at this address. Check it.")
    raise NotFetched(f"The server answered {status} and no picture. Check the address.")


def _retry_after(response: aiohttp.ClientResponse) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_WAIT_S) if text.isascii() and text.isdigit() else 0.0
