"""The submit: the one call that costs money. fal-client makes it over our transport, and it is never
repeated.

After the first byte nothing here may lead to another POST.
"""

import asyncio
import re
from collections.abc import Awaitable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import httpx
import msgspec
from fal_client.client import USER_AGENT, AsyncBackupDomainTransport, AsyncClient

from image2model.domain import FalRequest
from image2model.errors import FalAmbiguous, FalError
from image2model.fal.hosts import FalHosts
from image2model.fal.paid_post import CURRENT, BeforeSend, BeforeSendFailed, PaidPost, PaidPostTransport
from image2model.fal.wire import Submitted

_KEY = re.compile(r"[a-z0-9._-]{1,64}")
_MAX_VALUE = 256
_MAX_HEADER = 1024
_MAX_TAGS = 10
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


Priority = Literal["normal", "low"]


class Submission:
    """Makes submits. `deadline`: seconds for a whole POST, from connecting to the last byte of the reply.

    `preference`: the headers that say how long FAL keeps the output files, and who may read them.
    """

    def __init__(
        self, key: str, hosts: FalHosts, *, deadline: float, preference: Mapping[str, str] = _NO_HEADERS
    ) -> None:
        self._hosts = hosts
        self._preference = preference
        self._deadline = deadline
        self._http = httpx.AsyncClient(
            transport=SingleShotTransport(hosts.queue),
            headers={"Authorization": f"Key {key}", "User-Agent": USER_AGENT},
            timeout=deadline,
        )
        self.concurrency_limit: int | None = None
        self._fal = _SingleShotClient(key, self._http, deadline)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def submit(
        self,
        endpoint_id: str,
        payload: Mapping[str, object],
        *,
        tags: Mapping[str, str],
        webhook_url: str | None,
        before_send: BeforeSend,
        priority: Priority | None,
    ) -> FalRequest:
        """Exactly one POST, `before_send` awaited right before its first byte. See `FalGateway.submit`."""
        post = PaidPost(before_send, endpoint_id)
        headers = {"X-Fal-Tags": format_tags(tags)} if tags else {}
        headers.update(self._preference)
        token = CURRENT.set(post)
        try:
            refused = await self._send(
                post,
                self._fal.submit(
                    endpoint_id, dict(payload), webhook_url=webhook_url, headers=headers, priority=priority
                ),
            )
        finally:
            CURRENT.reset(token)
        if refused is not None:
            raise refused
        if post.submitted is None:
            raise FalAmbiguous("fal-client returned, but no reply was seen")
        self.concurrency_limit = post.concurrency_limit
        return self._request(endpoint_id, post.submitted)

    async def _send(self, post: PaidPost, submit: Awaitable[object]) -> Exception | None:
        """The exception of `before_send`, if it raised.

        The caller raises it, outside of any handler, so that it gets no context that leads back to itself.
        """
        try:
            async with asyncio.timeout(self._deadline) as limit:
                await submit
        except BeforeSendFailed as failed:
            return failed.cause
        except FalError:
            raise
        except Exception as error:
            if post.submitted is not None:
                return None  # the deadline passed after the reply was read: its id counts
            if limit.expired():
                raise post.no_reply(f"nothing in {self._deadline:g} s") from error
            if post.sent:
                # The request was sent: no error may pass for a failure before the POST.
                raise FalAmbiguous(f"the submit broke off: {type(error).__name__} {error}") from error
            raise
        return None

    def _request(self, endpoint_id: str, reply: Submitted) -> FalRequest:
        # URLs on a host that must not receive the key are replaced by those derived from the id.
        own = self._hosts.request(endpoint_id, reply.request_id)
        return FalRequest(
            request_id=reply.request_id,
            status_url=self._trusted(reply.status_url, own.status_url),
            response_url=self._trusted(reply.response_url, own.response_url),
            cancel_url=self._trusted(reply.cancel_url, own.cancel_url),
        )

    def _trusted(self, url: str | None, own: str) -> str:
        return url if url and self._hosts.may_see_key(url) else own


class _SingleShotClient(AsyncClient):
    """fal-client on an httpx client of ours: its own would repeat a paid POST."""

    def __init__(self, key: str, http: httpx.AsyncClient, deadline: float) -> None:
        super().__init__(key=key, default_timeout=deadline)
        self._http = http

    @property
    def _client(self) -> Coroutine[Any, Any, httpx.AsyncClient]:
        return self._ready()

    async def _ready(self) -> httpx.AsyncClient:
        return self._http


class SingleShotTransport(httpx.AsyncBaseTransport):
    """Sends every request to `queue_url`, whichever host fal-client addressed."""

    def __init__(self, queue_url: str) -> None:
        self._queue_url = httpx.URL(queue_url)
        self._below = AsyncBackupDomainTransport(transport=PaidPostTransport())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One POST of the submit under way. Raises FalError for anything but a good reply."""
        post = CURRENT.get()
        post.enter()
        self._readdress(request)
        try:
            response = await self._below.handle_async_request(request)
            body = await response.aread()
        except httpx.HTTPError as error:
            raise post.no_reply(str(error)) from error
        post.accept_reply(response.status_code, response.headers, body)
        return httpx.Response(response.status_code, content=_reply_for_fal_client(post), request=request)

    async def aclose(self) -> None:
        """Close the connections below."""
        await self._below.aclose()

    def _readdress(self, request: httpx.Request) -> None:
        path = self._queue_url.raw_path.rstrip(b"/") + request.url.raw_path
        request.url = self._queue_url.copy_with(raw_path=path)
        request.headers["Host"] = request.url.netloc.decode("ascii")


def _reply_for_fal_client(post: PaidPost) -> bytes:
    # fal-client reads four fields by name; we fill in the URLs that FAL left out afterwards.
    return msgspec.json.encode(post.submitted)


def format_tags(tags: Mapping[str, str]) -> str:
    """The header's value, `k=v,k=v`. Raises ValueError for tags beyond FAL's limits."""
    if len(tags) > _MAX_TAGS:
        raise ValueError(f"at most {_MAX_TAGS} tags, not {len(tags)}")
    for name, value in tags.items():
        _check(name, value)
    header = ",".join(f"{name}={value}" for name, value in tags.items())
    if len(header) > _MAX_HEADER:
        raise ValueError(f"tags take {len(header)} bytes, FAL's limit is {_MAX_HEADER}")
    return header


def _check(name: str, value: str) -> None:
    if not _KEY.fullmatch(name) or name.startswith("fal."):
        raise ValueError(f"{name!r} is not a tag name: a-z, 0-9, '.', '_', '-', at most 64, not 'fal.…'")
    clean = value.isascii() and value.isprintable() and "," not in value and "=" not in value
    if not clean or len(value) > _MAX_VALUE:
        raise ValueError(
            f"the value of tag {name!r} must be printable ASCII without ',' and '=', at most 256"
        )
