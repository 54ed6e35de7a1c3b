"""The submit: the one call that costs money. fal-client makes it with a POST of ours, and it is never
repeated.

After the first byte nothing here may lead to another POST.
"""

import asyncio
import re
from collections.abc import Awaitable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import httpx
import msgspec
import structlog
from fal_client.client import QUEUE_URL_FORMAT, USER_AGENT, AsyncClient, _fallback_url

from image2model.domain import FalRequest
from image2model.errors import FalAmbiguous, FalError, FalNotAccepted
from image2model.fal.hosts import FalHosts, escaped
from image2model.fal.paid_post import CURRENT, BeforeSend, BeforeSendFailed, NotReached, PaidPost, PostSession
from image2model.fal.wire import Submitted

_log: Final = structlog.stdlib.get_logger(__name__)

_KEY = re.compile(r"[a-z0-9._-]{1,64}")
_MAX_VALUE = 256
_MAX_HEADER = 1024
_MAX_TAGS = 10
_BACKUP_AFTER_S: Final = 5.0
"""How long the first domain may take to connect, as in fal-client, before its backup is tried."""
_SUBMIT: Final = httpx.Request("POST", QUEUE_URL_FORMAT)
"""Stands for the request in the reply, which httpx does not read without one."""
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
        self._http = SinglePost(key, hosts.queue, deadline)
        self.concurrency_limit: int | None = None
        self._fal = _SinglePostClient(key, self._http, deadline)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

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


class _SinglePostClient(AsyncClient):
    """fal-client on a POST of ours: with httpx's client it would repeat a paid one."""

    def __init__(self, key: str, http: "SinglePost", deadline: float) -> None:
        super().__init__(key=key, default_timeout=deadline)
        self._http = http

    @property
    def _client(self) -> Coroutine[Any, Any, Any]:
        return self._ready()

    async def _ready(self) -> "SinglePost":
        return self._http


class SinglePost:
    """The one method of httpx's client that fal-client submits with. It sends to `queue_url`, and where that
    cannot be reached, to FAL's backup domain.

    httpx's client is left out, because its layers (cookies, redirects, authentication, a second client for
    the backup domain) took more than the rest of the POST.
    """

    def __init__(self, key: str, queue_url: str, deadline: float) -> None:
        backup = _fallback_url(httpx.URL(queue_url))
        self._urls = (queue_url, *(() if backup is None else (str(backup),)))
        self._connect_s = deadline if backup is None else min(deadline, _BACKUP_AFTER_S)
        self._session = PostSession(
            {
                "Authorization": f"Key {key}",
                "User-Agent": USER_AGENT,
                "Accept": "*/*",
                "Accept-Encoding": "gzip, deflate",
                "Content-Type": "application/json",
            }
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        json: object,
        headers: Mapping[str, str],
        timeout: float,  # noqa: ARG002, ASYNC109 - fal-client's signature; the deadline is ours
    ) -> httpx.Response:
        """One POST of the submit under way. Raises FalError for anything but a good reply."""
        post = CURRENT.get()
        post.enter()
        if method != "POST" or not url.startswith(QUEUE_URL_FORMAT):
            raise FalNotAccepted(f"fal-client did not submit: {method} {url[:200]}")
        path = escaped(url[len(QUEUE_URL_FORMAT) :])
        await self._post(post, path, msgspec.json.encode(json), headers)
        return httpx.Response(200, content=_reply_for_fal_client(post), request=_SUBMIT)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _post(self, post: PaidPost, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        first: NotReached | None = None
        for base in self._urls:
            url = f"{base.rstrip('/')}/{path}"
            try:
                await self._session.send(post, url, body, headers, self._connect_s)
            except NotReached as error:
                _log.warning("fal_queue_not_reached", host=urlsplit(base).hostname, reason=str(error))
                first = first or error
            else:
                return
        raise post.no_reply(str(first)) from first


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
