"""Unfinished work in numbers, for metrics and for whatever starts and stops workers by them.

Read from the sizes of the queues' sets, so it costs the same with any number of jobs, and is there without a
worker. Nothing here moves a job.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.store.scripts import Script

_READ: Final = Script("queue/read_work")


class WorkState(StrEnum):
    """Where an unfinished image is. `WAITING`: for its turn, an endpoint, or the run of the same picture.
    `FETCHING`: its picture comes from an address. `AWAITING_CONFIRMATION`: for its client, so for no worker.
    `AT_FAL`: also while it is POSTed. `STORING`: a result is fetched, stored or copied.
    """

    WAITING = "waiting"
    FETCHING = "fetching"
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    PREPARING = "preparing"
    AT_FAL = "at_fal"
    STORING = "storing"


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """As of `at` (ms, by the store's clock). `images` has each state; a webhook whose call has failed counts
    under `webhooks_later` until its next one is due."""

    at: int
    images: Mapping[WorkState, int]
    webhooks_due: int
    webhooks_later: int
    dead_letters: int


_found: Final = msgspec.msgpack.Decoder(
    tuple[int, tuple[int, int, int, int, int, int], tuple[int, int], int], strict=False
)


async def read(redis: Redis) -> Work:
    """All of it at one moment, in one round trip. Raises StoreOutage."""
    at, images, (due, later), dead = _found.decode(await _READ.packed(redis))
    return Work(
        at=at,
        images=dict(zip(WorkState, images, strict=True)),
        webhooks_due=due,
        webhooks_later=later,
        dead_letters=dead,
    )
