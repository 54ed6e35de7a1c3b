"""Unfinished images of an address: the number is that of the images, whatever happens to them."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.domain import IMAGE_UNFINISHED, ImageStatus
from image2model.errors import NotFound, QueueFull, StaleFence
from image2model.store import images, jobs, upkeep
from image2model.store.accounts import AddressCap, Allowance
from image2model.store.connection import command
from image2model.store.keys import key
from tests.store.conftest import MakeJob
from tests.support.jobs import REQUEST, fail, finish, pick, submit

STEPS = 250


def allowance(address: str, most: int = 1000) -> Allowance:
    return Allowance(key="", max_queued=1000, budget=None, address=AddressCap(address, most))


async def make(redis: Redis, make_job: MakeJob, job_id: str, address: str, count: int = 1) -> jobs.NewJob:
    """A job that is asked for from an address."""
    template = await make_job(0)
    pictures = (await make_job(count, "template")).images
    for made in (template, await make_job(0)):
        await jobs.erase(redis, made.job_id)
    new = tuple(
        msgspec.structs.replace(one, image_id=f"{job_id}-{number}") for number, one in enumerate(pictures)
    )
    job = msgspec.structs.replace(template, job_id=job_id, images=new)
    await jobs.create(redis, job, None, allowance(address))
    return job


async def counted(redis: Redis) -> dict[str, int]:
    row = await command(redis, "HGETALL", key("addresses"))
    return {name.decode(): int(count) for name, count in row.items()}


async def origins(redis: Redis) -> dict[str, str]:
    row = await command(redis, "HGETALL", key("origins"))
    return {image_id.decode(): address.decode() for image_id, address in row.items()}


async def status_of(redis: Redis, image_id: str) -> str:
    return ((await redis.hget(key("image", image_id), "status")) or b"").decode()
