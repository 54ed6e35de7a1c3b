"""The delivery log: one record for each time that a job ended, with every attempt to call its webhook.

A record has the TTL of its job. Nothing here makes a call: the step that writes a record also queues the task
that makes the next attempt, so that no attempt is lost between the two.
"""

import random
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec
from msgspec.structs import replace
from redis.asyncio import Redis

from image2model.errors import NotFound
from image2model.events import history
from image2model.events.documents import completed_document
from image2model.events.history import JobCompleted
from image2model.http.documents import JobDocument, Moment, job_document
from image2model.network.public_addresses import redacted_url
from image2model.store import job_reads
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.scripts import Script

EVENT: Final = "job.finished"
GAPS_S: Final = (5, 30, 120, 600, 1800, 3600, 10_800, 21_600)
"""Seconds to the next attempt after each failure in a row; after the last gap and attempt it has failed."""
_JITTER: Final = 0.2
_GONE: Final = 410
_MOST_ATTEMPTS: Final = 50
"""The newest attempts, which a record keeps: there may be any number of replays."""
_OPEN: Final = Script("webhooks/open_delivery")
_SAVE: Final = Script("webhooks/save_delivery")


class DeliveryState(StrEnum):
    """Where a delivery is. `failed`: there is no further attempt unless it is replayed."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `at` is ms since the epoch; `status` is None if there was no response."""

    at: int
    duration_ms: int
    status: int | None
    error: str | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """The delivery of one end of a job. Times are ms since the epoch.

    `version` is the job's at that end, `url` is safe to show, `turn` numbers the planned attempts, and
    `tries` counts those that failed since it was opened or replayed.
    """

    delivery_id: str
    job_id: str
    version: int
    url: str
    created_at: int
    state: DeliveryState = DeliveryState.PENDING
    attempts: tuple[Attempt, ...] = ()
    turn: int = 1
    tries: int = 0
    next_at: int | None = None


class Payload(msgspec.Struct, frozen=True):
    """The body of a webhook; the same in each attempt. `data` is the job as it was when it ended."""

    type: str
    timestamp: Moment
    data: JobDocument


class DueDelivery(msgspec.Struct, frozen=True):
    """A delivery whose attempt is due now. `url` is the address to call: it may hold secrets."""

    delivery: Delivery
    url: str


_decode = msgspec.json.Decoder(Delivery).decode


async def announce(redis: Redis, job_id: str, version: int, *, failed: str | None = None) -> bool:
    """Open the delivery of the end that the job reached with this version, and queue its first attempt.

    Returns whether it is new: False if it was opened before, if the job has no webhook, or is gone.
    `failed`: why no call is made; the delivery is opened as failed then, and can be replayed.
    """
    url = await job_reads.webhook_url(redis, job_id)
    if url is None:
        return False
    at = int(time.time() * 1000)
    delivery = Delivery(
        delivery_id=f"{job_id}-{version}",
        job_id=job_id,
        version=version,
        url=redacted_url(url),
        created_at=at,
        next_at=at if failed is None else None,
        state=DeliveryState.PENDING if failed is None else DeliveryState.FAILED,
        attempts=() if failed is None else (Attempt(at=at, duration_ms=0, status=None, error=failed),),
    )
    argument = _argument(delivery)
    return bool(
        await _OPEN.packed(
            redis,
            job_id,
            delivery.delivery_id,
            _text(delivery),
            False if delivery.next_at is None else _task_id(argument),
            argument,
        )
    )


async def due(redis: Redis, argument: str) -> DueDelivery | None:
    """The delivery that a task is about; None if its turn has passed, or the job or its webhook is gone."""
    delivery_id, _, turn = argument.rpartition(":")
    text = await _read(redis, delivery_id)
    delivery = _decode(text) if text else None
    if delivery is None or delivery.state is not DeliveryState.PENDING or str(delivery.turn) != turn:
        return None
    url = await job_reads.webhook_url(redis, delivery.job_id)
    return None if url is None else DueDelivery(delivery, url)


async def body_of(redis: Redis, delivery: Delivery) -> bytes:
    """The JSON body to send. Raises NotFound if the job is gone."""
    document = await _as_it_ended(redis, delivery)
    when = document.finished_at or document.updated_at
    return msgspec.json.encode(Payload(EVENT, when, document))


async def record_attempt(
    redis: Redis, delivery: Delivery, attempt: Attempt, *, give_up: bool = False
) -> Delivery:
    """Record the attempt of this turn; if it failed, plan the next one unless `give_up`. Raises NotFound."""
    return await _change(
        redis,
        delivery.delivery_id,
        lambda one: after_attempt(one, delivery.turn, attempt, give_up=give_up),
    )


async def replay(redis: Redis, delivery_id: str) -> Delivery:
    """Plan an attempt now, and all tries after it again. Raises NotFound."""
    at = int(time.time() * 1000)
    return await _change(redis, delivery_id, lambda one: replayed(one, at))


async def of_job(redis: Redis, job_id: str) -> tuple[Delivery, ...]:
    """All deliveries of a job, the newest first."""
    records = [_decode(text) for text in await command(redis, "HVALS", key("deliveries", job_id))]
    return tuple(sorted(records, key=lambda one: one.version, reverse=True))


def after_attempt(delivery: Delivery, turn: int, attempt: Attempt, *, give_up: bool = False) -> Delivery:
    """The record with the attempt of this turn. If a replay has planned a later turn, it is only noted."""
    noted = replace(delivery, attempts=(*delivery.attempts, attempt))
    if delivery.turn != turn or delivery.state is not DeliveryState.PENDING:
        return noted
    if attempt.error is None:
        return replace(noted, state=DeliveryState.DELIVERED, next_at=None)
    if give_up or attempt.status == _GONE or delivery.tries >= len(GAPS_S):
        return replace(noted, state=DeliveryState.FAILED, next_at=None)
    next_at = attempt.at + attempt.duration_ms + _jittered_ms(GAPS_S[delivery.tries])
    return replace(noted, turn=turn + 1, tries=delivery.tries + 1, next_at=next_at)


def replayed(delivery: Delivery, at: int) -> Delivery:
    """The record with an attempt planned at `at`, and all tries after it again."""
    return replace(delivery, state=DeliveryState.PENDING, turn=delivery.turn + 1, tries=0, next_at=at)


def _jittered_ms(seconds: int) -> int:
    share = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load
    return int(seconds * 1000 * share)


async def _as_it_ended(redis: Redis, delivery: Delivery) -> JobDocument:
    found = await history.page_of_job(redis, delivery.job_id, delivery.version - 1, 1)
    if found and found[0].version == delivery.version and isinstance(found[0].body, JobCompleted):
        return completed_document(delivery.job_id, found[0].body)
    # its history no longer reaches back that far: the job as it is now
    return job_document(await job_reads.read_job(redis, delivery.job_id))


async def _change(redis: Redis, delivery_id: str, change: Callable[[Delivery], Delivery]) -> Delivery:
    """Write the changed record; start again whenever another process was faster.

    A later `turn` queues an attempt at `next_at`. Raises NotFound if the delivery or its job is gone.
    """
    done = 0
    while done != 1:
        before = await _read(redis, delivery_id)
        if before is None or done == -1:
            raise NotFound("There is no such delivery.")
        delivery = _decode(before)
        changed = change(delivery)
        done = await _save(redis, before, delivery, changed)
    return changed


async def _save(redis: Redis, before: str, delivery: Delivery, changed: Delivery) -> int:
    argument = _argument(changed)
    planned = changed.turn > delivery.turn and changed.next_at is not None
    return int(
        await _SAVE.packed(
            redis,
            delivery.job_id,
            delivery.delivery_id,
            before,
            _text(replace(changed, attempts=changed.attempts[-_MOST_ATTEMPTS:])),
            _task_id(argument) if planned else False,
            argument,
            changed.next_at or 0,
        )
    )


async def _read(redis: Redis, delivery_id: str) -> str | None:
    job_id = delivery_id.partition("-")[0]
    text: bytes | None = await command(redis, "HGET", key("deliveries", job_id), delivery_id)
    return text.decode() if text else None


def _text(delivery: Delivery) -> str:
    return msgspec.json.encode(delivery).decode()


def _argument(delivery: Delivery) -> str:
    return f"{delivery.delivery_id}:{delivery.turn}"


def _task_id(argument: str) -> str:
    return f"webhook:{argument}"
