"""The client's HTTP calls: one session, deadlines, and repeated calls within the client's patience.

A call is repeated only if the service refused it for now, if it was never sent, or if it is `safe`.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Self

import aiohttp
import msgspec

from image2model import __version__
from image2model.client.errors import ApiError, Unreachable
from image2model.errors import FileFault

_BASE_SECONDS: Final = 0.25
_MAX_SECONDS: Final = 15.0
CALL_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 10.0
_REFUSED_FOR_NOW: Final = frozenset({429, 503})
_GATEWAY: Final = frozenset({502, 504})


Body = Callable[[], AsyncIterator[bytes]]
OnTrouble = Callable[[str], None]


class Reply(msgspec.Struct, frozen=True):
    """A whole reply. Names of `headers` are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `safe`: it may be repeated after a lost reply. `deadline`: seconds for each try."""

    method: str
    path: str
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    body: Body | bytes | None = None
    safe: bool = False
    deadline: float = CALL_SECONDS


class Patience:
    """Tries until `seconds` have passed; `pause` sleeps with exponential backoff and full jitter."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.begin_again()

    def begin_again(self) -> None:
        """Forget the failures so far: a call has succeeded."""
        self._deadline = time.monotonic() + self.seconds
        self._failures = 0

    @property
    def left(self) -> float:
        """Seconds until patience ends; never negative."""
        return max(0.0, self._deadline - time.monotonic())

    async def pause(self, retry_after: float | None = None) -> bool:
        """Sleep before the next try, `retry_after` seconds if given. False: no time is left."""
        self._failures += 1
        backoff = random.uniform(0, min(_MAX_SECONDS, _BASE_SECONDS * 2**self._failures))  # noqa: S311 - jitter
        wait = retry_after + random.uniform(0, _BASE_SECONDS) if retry_after is not None else backoff  # noqa: S311
        if wait >= self.left:
            return False
        await asyncio.sleep(wait)
        return True


class Transport:
    """One session to one service; `patience` is how long a call is tried, in seconds."""

    def __init__(self, url: str, key: str | None, *, patience: float) -> None:
        self.url = url.rstrip("/")
        self.patience = patience
        self.on_trouble: OnTrouble = lambda _reason: None
        self._headers = {"User-Agent": f"image2model/{__version__}"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        connector = aiohttp.TCPConnector(limit=0)  # each event stream holds a connection
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout, connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, call: Call) -> Reply:
        """The reply, 2xx or 304. Raises ApiError, Unreachable."""
        patience = Patience(self.patience)
        while True:
            try:
                return await self._once(call)
            except ApiError as error:
                if not _may_repeat(call, error):
                    raise
                self.on_trouble(error.detail)
                if not await patience.pause(error.retry_after):
                    raise
            except (aiohttp.ClientError, TimeoutError) as error:
                lost = Unreachable(f"no answer from {self.url}: {_reason(error)}")
                if not _was_not_sent(call, error):
                    raise lost from error
                self.on_trouble(str(lost))
                if not await patience.pause():
                    raise lost from error

    @asynccontextmanager
    async def stream(
        self, path: str, *, headers: Mapping[str, str] | None = None, idle: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An open GET, redirects followed; `idle` seconds without a byte end it.

        Raises as aiohttp does, and ApiError.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=idle)
        async with self._open.get(self._at(path), headers=headers, timeout=timeout) as response:
            if response.status >= 400:
                raise _problem(await _whole(response))
            yield response

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the client is not open; use it in `async with`")
        return self._session

    def _at(self, path: str) -> str:
        return path if "://" in path else self.url + path

    async def _once(self, call: Call) -> Reply:
        data = call.body() if callable(call.body) else call.body
        async with asyncio.timeout(call.deadline):
            async with self._open.request(
                call.method,
                self._at(call.path),
                headers=call.headers,
                params=call.query,
                data=data,
                allow_redirects=False,
            ) as response:
                reply = await _whole(response)
        if reply.status >= 400:
            raise _problem(reply)
        return reply


async def _whole(response: aiohttp.ClientResponse) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status, headers, await response.read())


def _may_repeat(call: Call, error: ApiError) -> bool:
    if error.code == "idempotency_in_progress" or error.status in _REFUSED_FOR_NOW:
        return True
    return call.safe and error.status in _GATEWAY


def _was_not_sent(call: Call, error: Exception) -> bool:
    return call.safe or isinstance(error, aiohttp.ClientConnectorError)


def _reason(error: BaseException) -> str:
    return str(error) or "it did not answer in time"


class _Problem(msgspec.Struct):
    code: str = "unknown"
    detail: str = ""
    title: str = ""
    errors: tuple[FileFault, ...] = ()
    request_id: str | None = None


def _problem(reply: Reply) -> ApiError:
    try:
        problem = msgspec.json.decode(reply.body, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem(detail=f"HTTP {reply.status}: {reply.body[:200].decode(errors='replace')}")
    retry_after = reply.headers.get("retry-after", "")
    return ApiError(
        reply.status,
        problem.code,
        problem.detail or problem.title or f"HTTP {reply.status}",
        errors=problem.errors,
        request_id=problem.request_id or reply.headers.get("x-request-id"),
        retry_after=float(retry_after) if retry_after.isdigit() else None,
    )
