"""HTTP calls to FAL that cost nothing: one session, replies of any status, network errors as FalUnreachable.

`observed` reports operation, outcome and seconds of each call. The observer is injected, so this package
knows no metrics.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeVar

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy

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
from image2model.fal.connections import Exchange, HttpConnections, with_params
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
from image2model.fal.exchange import Deadlines
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
API_DEADLINES: Final = Deadlines(total=30)
MAX_REPLY_BYTES: Final = 32 << 20
USER_AGENT: Final = "image2model"
_HEADERS: Final = {"User-Agent": USER_AGENT, "Accept": "*/*"}
_KEEP_S: Final = 30.0
_CODINGS: Final = {"Accept-Encoding": "gzip, deflate"}
_JSON: Final = {"Content-Type": "application/json"}
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
        self._key_header = {"Authorization": f"Key {key}"}
        self._max_connections = max_connections
        self._connections: HttpConnections | None = None

    async def open(self) -> None:
        """Make room for connections, each of which is opened when it is needed."""
        self._connections = HttpConnections(_HEADERS, keep_s=_KEEP_S, most=self._max_connections)

    async def close(self) -> None:
        """Close every connection."""
        if self._connections is not None:
            await self._connections.close()
            self._connections = None

    @property
    def connections(self) -> HttpConnections:
        """Those of the open session. Raises RuntimeError before `open` and after `close`."""
        if self._connections is None:
            raise RuntimeError("the FAL gateway is not open: use it as `async with FalGateway(…)`")
        return self._connections

    def key_headers(self, url: str) -> Mapping[str, str]:
        """The authorization for this URL. Raises FalUnreachable where the key must not go."""
        if not self.hosts.may_see_key(url):
            raise FalUnreachable(f"{url} is not on one of FAL's hosts: the key is not sent there")
        return self._key_header

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
        deadlines: Deadlines = API_DEADLINES,
        tries: int = 1,
    ) -> Reply:
        """One request and its whole reply, of any status. Raises FalUnreachable when there is none.

        Use more `tries` only for calls that may be repeated: the other side may close an idle connection just
        when it is used.
        """
        sent = {**_CODINGS, **(headers or {})}
        if keyed:
            sent.update(self.key_headers(url))
        if json is not None:
            body = msgspec.json.encode(json)
            sent.update(_JSON)
        for _ in range(tries - 1):
            try:
                return await self._once(method, url, params, sent, body, deadlines)
            except FalUnreachable:
                continue
        return await self._once(method, url, params, sent, body, deadlines)

    async def _once(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | None,
        deadlines: Deadlines,
    ) -> Reply:
        with network_faults(url):
            exchange = await self.connections.begin(
                method, with_params(url, params or {}), headers=headers, deadlines=deadlines, body=body
            )
            try:
                whole = await exchange.reply.whole(MAX_REPLY_BYTES)
            finally:
                exchange.end()
        return Reply(url, exchange.reply.status, exchange.reply.headers, whole)

    async def begin_get(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        deadlines: Deadlines,
        held: int = 1 << 16,
        shown_as: str | None = None,
    ) -> Exchange:
        """Begin a GET: its reply, of any status, is read under `network_faults`, and then ended.

        `held`: see HttpReply. Raises FalUnreachable.
        """
        with network_faults(url, shown_as=shown_as):
            return await self.connections.begin("GET", url, headers=headers, deadlines=deadlines, held=held)


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

    `shown_as` replaces a secret URL in the message. ValueError is an invalid URL's; aiohttp's errors are of
    hosts other than FAL's.
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
        outcome = outcome_of(error)
        raise
    finally:
        observer(operation, outcome, time.perf_counter() - started)


def outcome_of(error: BaseException) -> str:
    """The `outcome` of a call that raised this."""
    return next((name for kind, name in OUTCOMES if isinstance(error, kind)), "error")


def no_observer(_operation: str, _outcome: str, _seconds: float) -> None:
    """An observer that does nothing."""


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
