"""What FAL tells by itself: a signed webhook brings the id of an attempt whose reply may have been lost.

Who calls it: the route of FAL's callbacks, after the signature was checked. The attempt's token in the
address says whose word it is; with the id stored, the worker follows the request like any other. What FAL
generated for an attempt that nobody follows any more is booked here, since it is paid for.
"""

import re
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.domain import ImageStatus
from image2model.errors import InvalidParameter, StaleFence
from image2model.fal.hosts import FalHosts
from image2model.fal.wire import WebhookBody
from image2model.fal.words import complaint_of, error_of
from image2model.service import bookings
from image2model.store import callbacks, images
from image2model.store.callbacks import Callback
from image2model.store.costs import Booking, Outcome
from image2model.store.images import Committed
from image2model.store.replicas import Replicas

_log = structlog.stdlib.get_logger(__name__)

_OK: Final = "OK"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_LEFT: Final = frozenset({ImageStatus.FAILED, ImageStatus.CANCELLED})


async def note_request(
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
        await callbacks.note(redis, image_id, attempt_token, _callback(word))
    elif _has_result(word):
        await _book(redis, image_id, attempt_token, request_id)


async def _is_followed(
    redis: Redis, hosts: FalHosts, image_id: str, attempt_token: str, request_id: str
) -> bool:
    """Whether a worker sees, or has seen, the end of this attempt; with the id it has it from here."""
    try:
        task = await images.load(redis, image_id)
    except StaleFence:
        _log.info("webhook_for_nobody", image_id=image_id)
        return False
    if attempt_token != task.attempt_token:
        return False
    if task.request is not None:
        return task.status not in _LEFT
    request = hosts.request(task.model, request_id)
    stored = await images.commit_submission(Replicas(redis), image_id, "", attempt_token, request)
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
    said = error_of(word.error, msgspec.Raw(b"null")) or error_of(word.payload_error, msgspec.Raw(b"null"))
    if word.status.upper() == _OK:
        output = payload.decode(errors="replace") if payload != b"null" else None
        return Callback(word.request_id, ended=True, output=output)
    inside = complaint_of(payload) if payload != b"null" else None
    said = inside or said
    return Callback(
        word.request_id,
        ended=True,
        error=said.message if said else None,
        error_type=said.type if said else None,
    )
