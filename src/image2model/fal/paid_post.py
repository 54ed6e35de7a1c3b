"""One paid POST: its connections, whether its first byte was sent, and the verdict on the reply.

Money depends on this file. It must never raise an error that makes fal-client repeat the POST, nor report
"not accepted" after the first byte.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Final

import msgspec

from image2model.errors import (
    FalAccountFault,
    FalAmbiguous,
    FalEndpointFault,
    FalError,
    FalNotAccepted,
    FalRejected,
)
from image2model.fal.connections import HttpConnections
from image2model.fal.errors import FalThrottled, blames_account, message_of
from image2model.fal.exchange import Deadlines
from image2model.fal.prices import billable_units
from image2model.fal.wire import Submitted, decode

_AMBIGUOUS = frozenset({408, 499})
"""4xx that an ingress may answer although it has forwarded the request."""
_MAX_REPLY_BYTES = 1 << 20
# Shorter than servers keep idle connections: a POST on a connection that the server is just closing would be
# lost without a reply, and count as unconfirmed.
_KEEPALIVE_SECONDS = 2


BeforeSend = Callable[[], Awaitable[None]]


class BeforeSendFailed(Exception):
    """`before_send` raised, and nothing was sent. It wraps what fal-client must not handle."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class PaidPost:
    """The state of one submit, and the verdict on each way that it can end."""

    def __init__(self, before_send: BeforeSend, endpoint_id: str) -> None:
        self._before_send = before_send
        self._endpoint_id = endpoint_id
        self.entered = False
        self.sent = False
        self.submitted: Submitted | None = None
        self.concurrency_limit: int | None = None

    def enter(self) -> None:
        """Called for every request that reaches the transport: the second one is refused."""
        if self.entered:
            raise FalAmbiguous("a second POST of the same submit was refused")
        self.entered = True

    def no_reply(self, why: str) -> FalError:
        """The error when no reply came: it depends on whether anything was sent."""
        if self.sent:
            return FalAmbiguous(f"FAL may have accepted the request, but no reply came: {why}")
        return FalNotAccepted(f"FAL was not reached, nothing was sent: {why}")

    def accept_reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Keep the content of a good reply; raise the FalError for any other."""
        if status >= 300:
            raise _refused(self._endpoint_id, status, headers, body)
        try:
            self.submitted = decode(body, Submitted)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FalAmbiguous(f"FAL's reply to the submit is unreadable: {error}", status=status) from error
        if not self.submitted.request_id:
            raise FalAmbiguous("FAL's reply to the submit has no request_id", status=status)
        limit = headers.get("x-fal-concurrency-limit", "")
        if limit.isascii() and limit.isdigit() and 0 < int(limit[:6]) == int(limit):
            self.concurrency_limit = int(limit)

    async def prepare_send(self) -> None:
        """Call `before_send`, right before the first byte. Raises BeforeSendFailed: then send nothing."""
        if self.sent:
            raise FalAmbiguous("a second POST of the same submit was refused")
        try:
            await self._before_send()
        except Exception as error:
            raise BeforeSendFailed(error) from error
        self.sent = True


def _refused(endpoint_id: str, status: int, headers: Mapping[str, str], body: bytes) -> FalError:
    error = message_of(body, status, headers.get("x-fal-error-type"))
    if status == 429:
        wait = _seconds(headers.get("retry-after"))
        return FalThrottled(error.message, status=status, fal_type=error.type, retry_after=wait)
    if status == 401:
        return FalAccountFault(error.message, status=status, fal_type=error.type)
    if status == 403 and blames_account(error):
        return FalAccountFault(error.message, status=status, fal_type="locked")
    if status == 403:
        return FalEndpointFault(error.message, endpoint=endpoint_id, status=status, fal_type=error.type)
    if 400 <= status < 500 and status not in _AMBIGUOUS:
        units = billable_units(headers)
        return FalRejected(error.message, status=status, fal_type=error.type, billable_units=units)
    return FalAmbiguous(f"FAL answered the submit with {status}: {error.message}", status=status)


def _seconds(retry_after: str | None) -> float | None:
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None


CURRENT: Final[ContextVar[PaidPost]] = ContextVar("paid_post")


class NotReached(Exception):
    """Nothing was sent: there is no connection."""


class PostSession:
    """The connections for paid POSTs. `headers`: of each."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        # No limit: waiting for a free connection would use up the POST's deadline; permits bound the number.
        self._connections = HttpConnections(headers, keep_s=_KEEPALIVE_SECONDS)

    async def send(
        self, post: PaidPost, url: str, body: bytes, headers: Mapping[str, str], connect_s: float
    ) -> None:
        """Send it and let `post` judge the reply. The caller bounds the whole; `connect_s` the connecting.

        Raises NotReached before the first byte, FalError after it, and BeforeSendFailed.
        """
        try:
            exchange = await self._connections.begin(
                "POST",
                url,
                headers=headers,
                deadlines=Deadlines(connect=connect_s),
                body=body,
                before_send=post.prepare_send,
            )
            try:
                reply = await exchange.reply.whole(_MAX_REPLY_BYTES)
            finally:
                exchange.end()
        except OSError as error:
            why = f"{type(error).__name__} {error}"
            if post.sent:
                raise post.no_reply(why) from error
            raise NotReached(why) from error
        post.accept_reply(exchange.reply.status, exchange.reply.headers, reply)

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()
