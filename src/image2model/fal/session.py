"""HTTP calls to FAL that cost nothing: one session, replies of any status, network errors as FalUnreachable.

`observed` reports operation, outcome and seconds of each call. The observer is injected, so this package
knows no metrics.
"""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy

from image2model.errors import (
    FalAccountFault,
    FalAmbiguous,
    FalEndpointFault,
    FalError,
    FalNotAccepted,
    FalRejected,
    FalResultGone,
    FalTransient,
)
from image2model.fal.errors import (
    FalAddressRefused,
    FalAdminRefused,
    FalCancelled,
    FalFilesLeft,
    FalUnfinished,
    FalUnreachable,
    blames_account,
    message_of,
)
from image2model.fal.hosts import FalHosts
from image2model.fal.wire import decode

OUTCOMES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (FalNotAccepted, "not_accepted"),
    (FalAmbiguous, "ambiguous"),
    (FalAccountFault, "account_fault"),
    (FalEndpointFault, "endpoint_fault"),
    (FalRejected, "rejected"),
    (FalTransient, "failed"),
    (FalResultGone, "gone"),
    (FalUnreachable, "unreachable"),
    (FalUnfinished, "unfinished"),
    (FalCancelled, "cancelled"),
    (FalAddressRefused, "refused"),
    (FalAdminRefused, "account_fault"),
    (FalFilesLeft, "failed"),
    (asyncio.CancelledError, "abandoned"),
    (GeneratorExit, "ok"),
)
"""The `outcome` of each error class; any other error is `error`, no error is `ok`.

The follower closes a stream after COMPLETED, so GeneratorExit is a good end."""
API_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, sock_connect=10)
MAX_REPLY_BYTES: Final = 32 << 20
USER_AGENT: Final = "image2model"
_LARGE = 1 << 16
_MAX_CAUSE: Final = 500
_INGRESS = frozenset({502, 503, 504})


Observer = Callable[[str, str, float], None]
T = TypeVar("T")


class Reply(msgspec.Struct, frozen=True):
    """A whole reply. `url` is the request's, for error messages."""

    url: str
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def from_ingress(self) -> bool:
        """Whether FAL's ingress answered in place of FAL: it says nothing about the request."""
        return self.status in _INGRESS and "x-fal-request-id" not in self.headers


class FalSession:
    """Owns the connections. `open` and `close` belong to the gateway."""

    def __init__(self, key: str, hosts: FalHosts, *, max_connections: int) -> None:
        self.hosts = hosts
        self._authorization = f"Key {key}"
        self._max_connections = max_connections
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the session. Its connector keeps connections and DNS answers."""
        connector = aiohttp.TCPConnector(limit=self._max_connections, keepalive_timeout=30, ttl_dns_cache=300)
        self._http = aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": USER_AGENT},
            timeout=API_TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    @property
    def http(self) -> aiohttp.ClientSession:
        """The open session. Raises RuntimeError before `open` and after `close`."""
        if self._http is None:
            raise RuntimeError("the FAL gateway is not open: use it as `async with FalGateway(…)`")
        return self._http

    def key_headers(self, url: str) -> dict[str, str]:
        """The authorization for this URL. Raises FalUnreachable where the key must not go."""
        if not self.hosts.may_see_key(url):
            raise FalUnreachable(f"{url} is not on one of FAL's hosts: the key is not sent there")
        return {"Authorization": self._authorization}

    async def call(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        keyed: bool = True,
        timeout: aiohttp.ClientTimeout = API_TIMEOUT,  # noqa: ASYNC109 - aiohttp's own, shared objects
        tries: int = 1,
    ) -> Reply:
        """One request and its whole reply, of any status. Raises FalUnreachable when there is none.

        Use more `tries` only for calls that may be repeated: the other side may close an idle connection just
        when it is used.
        """
        sent = CIMultiDict(headers or {})
        if keyed:
            sent.update(self.key_headers(url))
        if json is not None:
            body = msgspec.json.encode(json)
            sent["Content-Type"] = "application/json"
        request = _Request(method, url, params, body, sent, timeout)
        for _ in range(tries - 1):
            try:
                return await self._once(request)
            except FalUnreachable:
                continue
        return await self._once(request)

    async def _once(self, request: "_Request") -> Reply:
        async with self.exchange(
            request.method,
            request.url,
            params=request.params,
            data=_streamed(request.body),
            headers=request.headers,
            timeout=request.timeout,
        ) as response:
            with network_faults(request.url):
                whole = await _whole(response)
            return Reply(request.url, response.status, response.headers, whole)

    @asynccontextmanager
    async def exchange(
        self,
        method: str,
        url: str,
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, shared objects
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        data: bytes | io.BytesIO | None = None,
        read_bufsize: int = 1 << 16,
        shown_as: str | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An open response, no redirect followed; read it under `network_faults`. Raises FalUnreachable."""
        with network_faults(url, shown_as=shown_as):
            response = await self.http.request(
                method,
                url,
                params=params,
                data=data,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                read_bufsize=read_bufsize,
            )
        async with response:
            yield response


def decode_reply(reply: Reply, shape: type[T]) -> T:
    """The content of a successful reply. Raises `error_of_reply`, or FalTransient for bad content."""
    if reply.status >= 300:
        raise error_of_reply(reply)
    try:
        return decode(reply.body, shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"{reply.url} answered with unreadable content: {error}"
        raise FalTransient(message, status=reply.status) from error


def error_of_reply(reply: Reply) -> FalError:
    """The error for a reply without success: the account's fault, or one that may pass."""
    error = message_of(reply.body, reply.status, reply.headers.get("x-fal-error-type"))
    if reply.status in (401, 403):
        kind = "locked" if blames_account(error) else error.type
        return FalAccountFault(error.message, status=reply.status, fal_type=kind)
    return FalTransient(
        f"{reply.url} answered {reply.status}: {error.message}", status=reply.status, fal_type=error.type
    )


@contextmanager
def network_faults(url: str, *, shown_as: str | None = None) -> Iterator[None]:
    """Raise FalUnreachable for every network error. The block may hold network calls only.

    `shown_as` replaces a secret URL in the message. aiohttp and yarl raise ValueError for an invalid URL.
    """
    try:
        yield
    except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
        cause = _cause(error)
        if shown_as is not None:
            cause = cause.replace(url, shown_as)
        raise FalUnreachable(f"{shown_as or url[:200]}: {cause[:_MAX_CAUSE]}") from error


@contextmanager
def observed(observer: Observer, operation: str) -> Iterator[None]:
    """Report to the observer how the block ended and how long it took."""
    started = time.perf_counter()
    outcome = "ok"
    try:
        yield
    except BaseException as error:
        outcome = next((name for kind, name in OUTCOMES if isinstance(error, kind)), "error")
        raise
    finally:
        observer(operation, outcome, time.perf_counter() - started)


def no_observer(_operation: str, _outcome: str, _seconds: float) -> None:
    """An observer that does nothing."""


class _Request(msgspec.Struct, frozen=True):
    method: str
    url: str
    params: Mapping[str, str] | None
    body: bytes | None
    headers: CIMultiDict[str]
    timeout: aiohttp.ClientTimeout


def _streamed(body: bytes | None) -> bytes | io.BytesIO | None:
    # A large body in one piece would block the loop while it is copied to the socket's buffer.
    return io.BytesIO(body) if body is not None and len(body) > _LARGE else body


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MAX_REPLY_BYTES:
            raise aiohttp.ClientPayloadError(f"the reply is larger than {MAX_REPLY_BYTES} bytes")
    return b"".join(parts)


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
