"""What becomes of a delivery after an attempt, and when the next one is due.

Who calls it: the worker after each attempt, the API for a replay. Pure: a record in, a record out.
"""

import random
import time
from typing import Final

import msgspec
from msgspec.structs import replace
from redis.asyncio import Redis

from image2model.access import lookup
from image2model.errors import NotFound
from image2model.events import history
from image2model.events.documents import completed_document
from image2model.events.history import JobCompleted
from image2model.http.documents import JobDocument, Moment, job_document, moment
from image2model.jobs.batch_request import redacted_url
from image2model.store import job_reads
from image2model.webhooks import deliveries
from image2model.webhooks.deliveries import Attempt, Delivery, DeliveryState, delivery_id_of

GAPS_S: Final = (5, 30, 120, 600, 1800, 3600, 10_800, 21_600)
"""Seconds to the next attempt after each failure in a row; after the last one nobody tries again."""
_JITTER: Final = 0.2
_GONE: Final = 410


def after_attempt(delivery: Delivery, turn: int, attempt: Attempt) -> Delivery:
    """The record with this attempt in it. `turn` is the one that it was made for.

    Where a replay has planned a later turn meanwhile, the attempt is only noted.
    """
    noted = replace(delivery, attempts=(*delivery.attempts, attempt))
    if delivery.turn != turn or delivery.state is not DeliveryState.PENDING:
        return noted
    if attempt.error is None:
        return replace(noted, state=DeliveryState.DELIVERED, next_at=None)
    if attempt.status == _GONE or delivery.tries >= len(GAPS_S):
        return replace(noted, state=DeliveryState.FAILED, next_at=None)
    due = attempt.at + attempt.duration_ms + _jittered_ms(GAPS_S[delivery.tries])
    return replace(noted, turn=turn + 1, tries=delivery.tries + 1, next_at=due)


def failed_by_us(delivery: Delivery, turn: int, attempt: Attempt) -> Delivery:
    """The record where this service could not make the attempt: failed, unless a later turn is planned."""
    noted = replace(delivery, attempts=(*delivery.attempts, attempt))
    if delivery.turn != turn or delivery.state is not DeliveryState.PENDING:
        return noted
    return replace(noted, state=DeliveryState.FAILED, next_at=None)


def replayed(delivery: Delivery, at: int) -> Delivery:
    """The record with an attempt planned now, and all its tries again after that."""
    return replace(delivery, state=DeliveryState.PENDING, turn=delivery.turn + 1, tries=0, next_at=at)


def _jittered_ms(seconds: int) -> int:
    share = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load
    return int(seconds * 1000 * share)


EVENT: Final = "job.finished"


class Payload(msgspec.Struct, frozen=True):
    """The body of a webhook; the same in each attempt. `data` is the job as it was when it ended."""

    type: str
    timestamp: Moment
    data: JobDocument


class DeliveryAttempt(msgspec.Struct, frozen=True):
    """One call. `status` is null where nothing was answered, `error` where it was taken."""

    at: Moment
    status: int | None
    duration_ms: int
    error: str | None


class DeliveryDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery. `delivery_id` is also the `webhook-id` that the receiver sees."""

    delivery_id: str
    event: str
    url: str
    state: DeliveryState
    attempts: tuple[DeliveryAttempt, ...]
    next_at: Moment | None
    created_at: Moment


class DeliveryList(msgspec.Struct, frozen=True):
    """All deliveries of a job, the newest first."""

    deliveries: tuple[DeliveryDocument, ...]


async def announce(redis: Redis, job_id: str, version: int, *, failed: str | None = None) -> bool:
    """Open the delivery of the end that a job came to with this version; once, however often it is asked.

    `failed`: why nobody is called; it is opened as failed then, and can be replayed. Whether it is new:
    False also where the job has no webhook, or is gone.
    """
    url = await deliveries.target(redis, job_id)
    if url is None:
        return False
    at = int(time.time() * 1000)
    delivery = Delivery(
        delivery_id=delivery_id_of(job_id, version),
        job_id=job_id,
        version=version,
        url=redacted_url(url),
        created_at=at,
        next_at=at if failed is None else None,
        state=DeliveryState.PENDING if failed is None else DeliveryState.FAILED,
        attempts=() if failed is None else (Attempt(at=at, duration_ms=0, status=None, error=failed),),
    )
    return await deliveries.open_delivery(redis, delivery)


async def payload(redis: Redis, delivery: Delivery) -> bytes:
    """The body, as JSON. Raises NotFound where the job is gone."""
    document = await _as_it_ended(redis, delivery)
    when = document.finished_at or document.updated_at
    return msgspec.json.encode(Payload(EVENT, when, document))


async def listing(redis: Redis, owner: str, job_id: str) -> DeliveryList:
    """The delivery log of a job. Raises NotFound, Expired."""
    await lookup.access(redis, owner, job_id)
    return DeliveryList(tuple(map(document_of, await deliveries.of_job(redis, job_id))))


async def replay(redis: Redis, owner: str, job_id: str, delivery_id: str) -> DeliveryDocument:
    """Deliver again from the start, now, under the same id. Raises NotFound, Expired."""
    await lookup.access(redis, owner, job_id)
    if not delivery_id.startswith(f"{job_id}-"):
        raise NotFound("There is no such delivery.")
    at = int(time.time() * 1000)
    return document_of(await deliveries.change(redis, delivery_id, lambda one: replayed(one, at)))


def document_of(delivery: Delivery) -> DeliveryDocument:
    """A delivery as clients see it."""
    return DeliveryDocument(
        delivery_id=delivery.delivery_id,
        event=EVENT,
        url=delivery.url,
        state=delivery.state,
        attempts=tuple(
            DeliveryAttempt(moment(one.at) or "", one.status, one.duration_ms, one.error)
            for one in delivery.attempts
        ),
        next_at=moment(delivery.next_at),
        created_at=moment(delivery.created_at) or "",
    )


async def _as_it_ended(redis: Redis, delivery: Delivery) -> JobDocument:
    found = await history.page_of_job(redis, delivery.job_id, delivery.version - 1, 1)
    if found and found[0].version == delivery.version and isinstance(found[0].body, JobCompleted):
        return completed_document(delivery.job_id, found[0].body)
    # its history no longer reaches back that far: what the job is now
    return job_document(await job_reads.read_job(redis, delivery.job_id))
