"""The delivery log: one record for each time that a job ended, with every attempt to call its webhook.

Who calls it: the worker opens and delivers, the API lists and replays. Each record lives as long as its
job. It never calls anybody; the task that does is queued in the same step that writes the record.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.errors import NotFound
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.scripts import Script

_OPEN: Final = Script("webhooks/open_delivery")
_SAVE: Final = Script("webhooks/save_delivery")
_MOST_ATTEMPTS: Final = 50
"""Attempts that a record keeps, the newest: replays could go on for ever."""


class DeliveryState(StrEnum):
    """Where a delivery is. `failed`: nobody tries again unless it is replayed."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `at` is ms since the epoch; `status` is None where nothing was answered."""

    at: int
    duration_ms: int
    status: int | None
    error: str | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One end of a job, to be told. Times are ms since the epoch.

    `version` is the job's at that end, `url` is fit to be shown, `turn` numbers the attempts that were
    planned, and `tries` counts those that failed since it was opened or replayed.
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


_decode = msgspec.json.Decoder(Delivery).decode


def delivery_id_of(job_id: str, version: int) -> str:
    """The id of the delivery of one end of a job: the same whoever opens it."""
    return f"{job_id}-{version}"


async def open_delivery(redis: Redis, delivery: Delivery) -> bool:
    """Begin, and queue the first attempt if one is due.

    False where it was begun before or the job is gone.
    """
    argument = _argument(delivery)
    return bool(
        await _OPEN.packed(
            redis,
            delivery.job_id,
            delivery.delivery_id,
            _text(delivery),
            False if delivery.next_at is None else _task_id(argument),
            argument,
        )
    )


async def target(redis: Redis, job_id: str) -> str | None:
    """The job's webhook address; None where it has none, was deleted, or is gone."""
    url, deleted = await command(redis, "HMGET", key("job", job_id), "webhook_url", "deleted")
    return url.decode() if url and deleted != b"1" else None


async def of_job(redis: Redis, job_id: str) -> tuple[Delivery, ...]:
    """All deliveries of a job, the newest first."""
    records = [_decode(text) for text in await command(redis, "HVALS", key("deliveries", job_id))]
    return tuple(sorted(records, key=lambda one: one.version, reverse=True))


async def due(redis: Redis, argument: str) -> Delivery | None:
    """The delivery that a task is about; None where its turn has passed, or all of it is gone."""
    delivery_id, _, turn = argument.rpartition(":")
    text = await _read(redis, delivery_id)
    delivery = _decode(text) if text else None
    if delivery is None or delivery.state is not DeliveryState.PENDING or str(delivery.turn) != turn:
        return None
    return delivery


async def change(redis: Redis, delivery_id: str, how: Callable[[Delivery], Delivery]) -> Delivery:
    """Write what `how` makes of the record, as often as somebody else was faster; returns it.

    A later `turn` queues an attempt at `next_at`. Raises NotFound where the delivery or its job is gone.
    """
    done = 0
    while done != 1:
        before = await _read(redis, delivery_id)
        if before is None or done == -1:
            raise NotFound("There is no such delivery.")
        delivery = _decode(before)
        changed = how(delivery)
        done = await _save(redis, before, delivery, _bounded(changed))
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
            _text(changed),
            _task_id(argument) if planned else False,
            argument,
            changed.next_at or 0,
        )
    )


async def _read(redis: Redis, delivery_id: str) -> str | None:
    job_id = delivery_id.partition("-")[0]
    text: bytes | None = await command(redis, "HGET", key("deliveries", job_id), delivery_id)
    return text.decode() if text else None


def _bounded(delivery: Delivery) -> Delivery:
    return msgspec.structs.replace(delivery, attempts=delivery.attempts[-_MOST_ATTEMPTS:])


def _text(delivery: Delivery) -> str:
    return msgspec.json.encode(delivery).decode()


def _argument(delivery: Delivery) -> str:
    return f"{delivery.delivery_id}:{delivery.turn}"


def _task_id(argument: str) -> str:
    return f"webhook:{argument}"
