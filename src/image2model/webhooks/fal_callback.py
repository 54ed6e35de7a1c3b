"""FAL's signed callbacks: `POST /api/v1/webhooks/fal`.

A callback may bring the id of a submission whose reply was lost. The attempt's secret token in the address
names the attempt; once the id is stored, a worker follows the request like any other. What FAL generated for
an attempt that no worker follows any more is booked here, because it is paid for.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response

from image2model.access.state import AccessState, state_of
from image2model.domain import ImageStatus
from image2model.errors import (
    FalError,
    InvalidParameter,
    NotFound,
    StaleFence,
    StoreUnavailable,
    Unauthenticated,
)
from image2model.fal.errors import error_in_output, reported_error
from image2model.fal.hosts import FalHosts
from image2model.fal.wire import WebhookBody
from image2model.generation import costs, fal_deletions, fal_messages, loading, steps
from image2model.generation.costs import Booking, Outcome
from image2model.generation.fal_deletions import KeptAtFal, kept_at_fal
from image2model.generation.fal_messages import Callback
from image2model.generation.steps import Committed
from image2model.http.bodies import declared_length, read_small
from image2model.store.durability import Replicas

if TYPE_CHECKING:
    from image2model.fal.webhooks import JwksCache
    from image2model.fal.wire import Jwks

_log: Final = structlog.get_logger(__name__)

_MOST_BYTES: Final = 8 << 20
_SMALL_BYTES: Final = 64 << 10
"""A body up to this size is read at once. Larger ones are read a few at a time: they may not be FAL's."""
_LARGE_BODIES: Final = 4
_DEADLINE_S: Final = 10.0
_OK: Final = "OK"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ABANDONED: Final = frozenset({ImageStatus.FAILED, ImageStatus.CANCELLED})


class FalCallbacks:
    """FAL's public keys, fetched when the first callback comes: their library takes a while to import."""

    def __init__(self, key: str | None, hosts: FalHosts) -> None:
        self._key = key
        self._hosts = hosts
        self._cache: JwksCache | None = None
        self.large_bodies = asyncio.Semaphore(_LARGE_BODIES)

    @property
    def keys(self) -> "JwksCache":
        """The cache of this process."""
        if self._cache is None:
            from image2model.fal.webhooks import JwksCache

            self._cache = JwksCache(self._fetch)
        return self._cache

    async def _fetch(self) -> "Jwks":
        from image2model.fal.gateway import FalGateway

        async with FalGateway(self._key or "none:none", self._hosts, max_connections=1) as fal:
            return await fal.webhook_keys()


@dataclass(frozen=True, kw_only=True)
class CallbackState(AccessState):
    """Shared by all requests of one process."""

    hosts: FalHosts
    fal_callbacks: FalCallbacks


async def fal_webhook(request: Request) -> Response:
    """200 once FAL's report is stored; otherwise FAL repeats it for hours."""
    state = state_of(request, CallbackState)
    if state.settings.public_url is None:
        raise NotFound("FAL's webhooks are off: I2M_PUBLIC_URL is not set.")
    async with _body_slot(request, state.fal_callbacks.large_bodies):
        report = await _verified(request, state.fal_callbacks)
    image_id, attempt = (request.query_params.get(name, "")[:128] for name in ("image", "attempt"))
    keep = kept_at_fal(state.settings)
    await handle_report(state.redis, state.hosts, image_id, attempt, report, keep=keep)
    return Response(status_code=200)


@asynccontextmanager
async def _body_slot(request: Request, large: asyncio.Semaphore) -> AsyncIterator[None]:
    """Until the body is verified, hold one of the few slots if it is large or its length is not declared."""
    if declared_length(request.headers, _MOST_BYTES) <= _SMALL_BYTES:
        yield
        return
    try:
        async with asyncio.timeout(_DEADLINE_S):
            await large.acquire()
    except TimeoutError:
        raise StoreUnavailable.after("Too many large bodies at once.", 30) from None
    try:
        yield
    finally:
        large.release()


async def _verified(request: Request, callbacks: FalCallbacks) -> "WebhookBody":
    """FAL's report. Raises Unauthenticated if it is not FAL's, StoreUnavailable without FAL's keys."""
    body = await read_small(request, _MOST_BYTES, deadline_s=_DEADLINE_S)
    from image2model.fal.webhooks import WebhookRejected

    try:
        return await callbacks.keys.verified(request.headers, body, time.time())
    except WebhookRejected as rejected:
        raise Unauthenticated(f"This webhook is not FAL's: {rejected}") from rejected
    except FalError as error:
        raise StoreUnavailable.after("FAL's public keys cannot be fetched now.", 30) from error


async def handle_report(
    redis: Redis,
    hosts: FalHosts,
    image_id: str,
    attempt_token: str,
    report: WebhookBody,
    *,
    keep: KeptAtFal | None = None,
) -> None:
    """Store the request's id for its attempt, unless it is stored or the attempt is no longer the image's.

    While the image is unfinished, how the request ended is stored with it. If no worker follows the request
    any more, what FAL generated is booked, and with `keep` deleted at FAL. A repeated report changes nothing.
    Raises InvalidParameter for an impossible id, StoreOutage.
    """
    request_id = report.request_id
    if not _ID.fullmatch(request_id):
        raise InvalidParameter("The webhook's request_id is not a request id.")
    # FAL signs the webhooks of all its customers, who may address them here
    if not (_ID.fullmatch(image_id) and _ID.fullmatch(attempt_token)):
        _log.info("webhook_unmatched", image_id=image_id)
        return
    if await _is_followed(redis, hosts, image_id, attempt_token, request_id, keep):
        await fal_messages.store_webhook(redis, image_id, attempt_token, _callback(report))
        return
    if _has_result(report):
        await _book(redis, image_id, attempt_token, request_id)
    if keep is not None:
        await fal_deletions.note_late_request(redis, image_id, attempt_token, request_id)


async def _is_followed(
    redis: Redis,
    hosts: FalHosts,
    image_id: str,
    attempt_token: str,
    request_id: str,
    keep: KeptAtFal | None,
) -> bool:
    """Whether a worker sees, or has seen, the end of this attempt. Stores the id if it was unknown."""
    try:
        task = await loading.load(redis, image_id)
    except StaleFence:
        _log.info("webhook_unmatched", image_id=image_id)
        return False
    if attempt_token != task.attempt_token:
        return False
    if task.request is not None:
        return task.status not in _ABANDONED
    request = hosts.request(task.model, request_id)
    stored = await steps.commit_submission(Replicas(redis), image_id, "", attempt_token, request, keep=keep)
    if stored is Committed.SUPERSEDED:
        return False
    _log.info("request_id_from_webhook", image_id=image_id, fal_request_id=request_id)
    return True


async def _book(redis: Redis, image_id: str, attempt_token: str, request_id: str) -> None:
    """Book what was reserved for the attempt: the best estimate of its cost. Once, like every booking."""
    booking = Booking(
        image_id=image_id,
        owner=None,
        model=None,
        request_id=request_id,
        micro=None,
        uncertain=True,
        nonce=costs.new_nonce(),
        attempt=attempt_token,
    )
    booked = await costs.book(redis, booking)
    if booked.outcome is Outcome.BOOKED:
        _log.warning("late_result_booked", image_id=image_id, fal_request_id=request_id)


def _has_result(report: WebhookBody) -> bool:
    """Whether FAL reports a result, or one that it could not put into the webhook."""
    reported = any(bytes(part) != b"null" for part in (report.payload, report.payload_error))
    return report.status.upper() == _OK and reported


def _callback(report: WebhookBody) -> Callback:
    """What is worth storing: the output of a success, the message of a failure."""
    payload = bytes(report.payload)
    if report.status.upper() == _OK:
        output = payload.decode(errors="replace") if payload != b"null" else None
        return Callback(report.request_id, ended=True, output=output)
    null = msgspec.Raw(b"null")
    message = reported_error(report.error, null) or reported_error(report.payload_error, null)
    message = (error_in_output(payload) if payload != b"null" else None) or message
    return Callback(
        report.request_id,
        ended=True,
        error=message.message if message else None,
        error_type=message.type if message else None,
    )
