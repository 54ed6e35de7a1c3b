"""The bottom of the paid POST: aiohttp under httpx's interface, with the mark before the first byte.

httpx's own transport costs four times the CPU, and offers no place between "connected" and "sending".
Who calls it: fal-client's backup-domain transport, below ours. It never repeats a request: a connection
that was kept and turns out closed is an error like any other once the mark is set.
"""

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from image2model.fal.paidpost import CURRENT

LARGEST_REPLY = 1 << 20
# Shorter than what servers keep idle connections for: a POST on a connection that the server is just
# closing would be lost without a reply, and count as unconfirmed.
_KEEPALIVE_SECONDS = 2


class MarkedRequest(aiohttp.ClientRequest):
    """aiohttp calls `send` when the connection stands and nothing of the request has been written."""

    async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        """Set the mark, then send."""
        await CURRENT.get().mark()
        return await super().send(conn)


class PostTransport(httpx.AsyncBaseTransport):
    """Sends httpx requests by aiohttp. Raises httpx.ConnectError before the mark, ReadError after it."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The whole reply."""
        try:
            async with self._http().request(
                request.method,
                URL(str(request.url), encoded=True),
                data=await request.aread(),
                headers=request.headers.multi_items(),
                timeout=_timeout(request),
                allow_redirects=False,
            ) as response:
                body = await _whole(response)
                return httpx.Response(response.status, headers=response.raw_headers, content=body)
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            kind = httpx.ReadError if CURRENT.get().sent else httpx.ConnectError
            raise kind(f"{type(error).__name__} {error}") from error

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _http(self) -> aiohttp.ClientSession:
        # Made on the first use, because aiohttp wants a running loop. No limit: waiting for a free
        # connection would eat the POST's deadline; permits bound the number.
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS, ttl_dns_cache=300)
            self._session = aiohttp.ClientSession(
                connector=connector,
                request_class=MarkedRequest,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session


def _timeout(request: httpx.Request) -> aiohttp.ClientTimeout:
    given = request.extensions.get("timeout", {})
    return aiohttp.ClientTimeout(total=None, connect=given.get("connect"), sock_read=given.get("read"))


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > LARGEST_REPLY:
            raise aiohttp.ClientPayloadError("the reply is too large")
    return bytes(body)
