"""What FAL tells by itself: a signed webhook brings the id of an attempt whose reply may have been lost.

Who calls it: the route of FAL's callbacks, after the signature was checked. The attempt's token in the
address says whose word it is; with the id stored, the worker follows the request like any other. What FAL
generated for an attempt that nobody follows any more is booked here, since it is paid for.
"""

import asyncio
import re
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.domain import ImageStatus
from image2model.errors import InvalidParameter, StaleFence
from image2model.fal.errors import error_in_output, reported_error
from image2model.fal.hosts import FalHosts
from image2model.fal.wire import WebhookBody
from image2model.generation import costs as bookings
from image2model.generation import fal_words, steps
from image2model.generation.costs import Booking, Outcome
from image2model.generation.fal_words import Callback
from image2model.generation.steps import Committed
from image2model.store.durability import Replicas

if TYPE_CHECKING:
    from image2model.fal.webhooks import JwksCache
    from image2model.fal.wire import Jwks
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from image2model.access.state import AccessState, state_of
from image2model.errors import FalError, NotFound, StoreUnavailable, Unauthenticated
from image2model.http.bodies import declared_length, read_small

_log = structlog.stdlib.get_logger(__name__)

_OK: Final = "OK"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_LEFT: Final = frozenset({ImageStatus.FAILED, ImageStatus.CANCELLED})


async def store_request_id(
    redis: Redis, hosts: FalHosts, image_id: str, attempt_token: str, word: WebhookBody
) -> None:
    """Store the id under its attempt, unless it is known already or the attempt is no longer the image's.

    How the request ended is kept with it while the image is unfinished. Where nobody follows it any more,
    what FAL generated is booked. The same word twice changes nothing. Raises InvalidParameter for what is
    no id, StoreOutage.
    """
    request_id = word.request_id
    if not _ID.fullmatch(request_id):
        raise InvalidParameter("The webhook's request_id is none.")
    # FAL signs the webhooks of all its customers, who may address them here
    if not (_ID.fullmatch(image_id) and _ID.fullmatch(attempt_token)):
        _log.info("webhook_for_nobody", image_id=image_id)
        return
    if await _is_followed(redis, hosts, image_id, attempt_token, request_id):
        await fal_words.note(redis, image_id, attempt_token, _callback(word))
    elif _has_result(word):
        await _book(redis, image_id, attempt_token, request_id)


async def _is_followed(
    redis: Redis, hosts: FalHosts, image_id: str, attempt_token: str, request_id: str
) -> bool:
    """Whether a worker sees, or has seen, the end of this attempt; with the id it has it from here."""
    try:
        task = await steps.load(redis, image_id)
    except StaleFence:
        _log.info("webhook_for_nobody", image_id=image_id)
        return False
    if attempt_token != task.attempt_token:
        return False
    if task.request is not None:
        return task.status not in _LEFT
    request = hosts.request(task.model, request_id)
    stored = await steps.commit_submission(Replicas(redis), image_id, "", attempt_token, request)
    if stored is Committed.SUPERSEDED:
        return False
    _log.info("request_id_from_webhook", image_id=image_id, fal_request_id=request_id)
    return True


async def _book(redis: Redis, image_id: str, attempt_token: str, request_id: str) -> None:
    """What was set aside for the attempt is what it cost, as far as we know; once, like every booking."""
    booking = Booking(
        image_id=image_id,
        owner=None,
        model=None,
        request_id=request_id,
        micro=None,
        uncertain=True,
        nonce=bookings.new_nonce(),
        attempt=attempt_token,
    )
    booked = await bookings.book(redis, booking)
    if booked.outcome is Outcome.BOOKED:
        _log.warning("late_result_booked", image_id=image_id, fal_request_id=request_id)


def _has_result(word: WebhookBody) -> bool:
    """Whether FAL tells of a result, or of one that it could not put into the webhook."""
    told = any(bytes(said) != b"null" for said in (word.payload, word.payload_error))
    return word.status.upper() == _OK and told


def _callback(word: WebhookBody) -> Callback:
    """What is worth keeping: the output of a success, the words of a failure."""
    payload = bytes(word.payload)
    said = reported_error(word.error, msgspec.Raw(b"null")) or reported_error(
        word.payload_error, msgspec.Raw(b"null")
    )
    if word.status.upper() == _OK:
        output = payload.decode(errors="replace") if payload != b"null" else None
        return Callback(word.request_id, ended=True, output=output)
    inside = error_in_output(payload) if payload != b"null" else None
    said = inside or said
    return Callback(
        word.request_id,
        ended=True,
        error=said.message if said else None,
        error_type=said.type if said else None,
    )


_LARGE_BODIES: Final = 4
"""Read at once by one process, before anybody knows that they are FAL's."""


class FalCallbacks:
    """FAL's public keys, asked for when the first callback comes: their library takes a while to import."""

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


_MOST_BYTES: Final = 8 << 20
_SMALL_BYTES: Final = 64 << 10
"""A body up to this size is read at once; larger ones, which nobody has vouched for yet, a few at a time."""
_DEADLINE_S: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class CallbackState(AccessState):
    """Shared by all requests of one process."""

    hosts: FalHosts
    fal_callbacks: FalCallbacks


async def fal_webhook(request: Request) -> Response:
    """200 once FAL's word is stored; FAL repeats it for hours otherwise."""
    state = state_of(request, CallbackState)
    if state.settings.public_url is None:
        raise NotFound("FAL's webhooks are off: I2M_PUBLIC_URL is not set.")
    async with _place(request, state.fal_callbacks.large_bodies):
        word = await _verified(request, state.fal_callbacks)
    image_id, attempt = (request.query_params.get(name, "")[:128] for name in ("image", "attempt"))
    await store_request_id(state.redis, state.hosts, image_id, attempt, word)
    return Response(status_code=200)


@asynccontextmanager
async def _place(request: Request, large: asyncio.Semaphore) -> AsyncIterator[None]:
    """Until the body is verified: one of the few places, if it is large or does not say."""
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
    """What FAL says. Raises Unauthenticated where it is not FAL, StoreUnavailable without FAL's keys."""
    body = await read_small(request, _MOST_BYTES, deadline_s=_DEADLINE_S)
    from image2model.fal.webhooks import WebhookRejected

    try:
        return await callbacks.keys.verified(request.headers, body, time.time())
    except WebhookRejected as rejected:
        raise Unauthenticated(f"This is no webhook of FAL's: {rejected}") from rejected
    except FalError as error:
        raise StoreUnavailable.after("FAL's public keys cannot be fetched now.", 30) from error
