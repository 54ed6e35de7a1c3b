"""One paid POST: what is known of whether it went out, and the verdict on what came back.

Who calls it: the transport, once for each submit. Money hangs on this file: it must never let an error
out that fal-client would answer with another POST, nor call anything "not accepted" after the first byte.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Final

import aiohttp
import httpx
import msgspec
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from image2model.errors import (
    FalAccountFault,
    FalAmbiguous,
    FalEndpointFault,
    FalError,
    FalNotAccepted,
    FalRejected,
)
from image2model.fal.errors import FalThrottled, blames_account, words_of
from image2model.fal.prices import billable_units
from image2model.fal.wire import Submitted, decode

BeforeSend = Callable[[], Awaitable[None]]

_UNSURE = frozenset({408, 499})
"""4xx that an ingress may give after it has passed the request on."""


class MarkNotSet(Exception):
    """`before_send` raised: nothing was sent. Wraps its exception, so that nobody takes it for httpx's."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class PaidPost:
    """The state of one submit: the transport asks it before the first byte, and for every verdict."""

    def __init__(self, before_send: BeforeSend, endpoint_id: str) -> None:
        self._before_send = before_send
        self._endpoint_id = endpoint_id
        self.entered = False
        self.sent = False
        self.submitted: Submitted | None = None

    def enter(self) -> None:
        """Called for every request that reaches the transport: the second one is refused."""
        if self.entered:
            raise FalAmbiguous("a second POST of the same submit was refused")
        self.entered = True

    def broken(self, why: str) -> FalError:
        """The verdict when no reply came: by whether anything had been sent."""
        if self.sent:
            return FalAmbiguous(f"FAL may have accepted the request, but no reply came: {why}")
        return FalNotAccepted(f"FAL was not reached, nothing was sent: {why}")

    def judge(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Keep a good reply's content; raise the FalError that any other reply means."""
        if status >= 300:
            raise _refusal(self._endpoint_id, status, headers, body)
        try:
            self.submitted = decode(body, Submitted)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FalAmbiguous(f"FAL's reply to the submit is unreadable: {error}", status=status) from error
        if not self.submitted.request_id:
            raise FalAmbiguous("FAL's reply to the submit has no request_id", status=status)

    async def mark(self) -> None:
        """The connection stands and the first byte is next. Raises MarkNotSet: then nothing may be sent."""
        if self.sent:
            raise FalAmbiguous("a second POST of the same submit was refused")
        try:
            await self._before_send()
        except Exception as error:
            raise MarkNotSet(error) from error
        self.sent = True


CURRENT: Final[ContextVar[PaidPost]] = ContextVar("paid_post")


def _refusal(endpoint_id: str, status: int, headers: Mapping[str, str], body: bytes) -> FalError:
    said = words_of(body, status, headers.get("x-fal-error-type"))
    if status == 429:
        wait = _seconds(headers.get("retry-after"))
        return FalThrottled(said.message, status=status, fal_type=said.type, retry_after=wait)
    if status == 401:
        return FalAccountFault(said.message, status=status, fal_type=said.type)
    if status == 403 and blames_account(said):
        return FalAccountFault(said.message, status=status, fal_type="locked")
    if status == 403:
        return FalEndpointFault(said.message, endpoint=endpoint_id, status=status, fal_type=said.type)
    if 400 <= status < 500 and status not in _UNSURE:
        units = billable_units(headers)
        return FalRejected(said.message, status=status, fal_type=said.type, billable_units=units)
    return FalAmbiguous(f"FAL answered the submit with {status}: {said.message}", status=status)


def _seconds(retry_after: str | None) -> float | None:
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None


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
