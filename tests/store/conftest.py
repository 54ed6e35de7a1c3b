"""A connection to the empty server, and jobs to work on."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from image2model.store import jobs
from image2model.store.connection import connect
from tests.support.keys import keys_without_life

MakeJob = Callable[..., Awaitable[jobs.NewJob]]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client; at the end of the test every key must have a life of its own."""
    async with connect(redis_url) as client:
        yield client
        assert await keys_without_life(client) == []


@pytest.fixture
def make_job(redis: Redis) -> MakeJob:
    """Creates a job of `count` images for `owner`."""

    async def make(count: int = 1, owner: str = "ann", *, low: bool = False) -> jobs.NewJob:
        job_id = uuid.uuid4().hex
        images = tuple(
            jobs.NewImage(
                image_id=uuid.uuid4().hex,
                filename=f"{i}.png",
                size=10,
                sha256=f"{i:064x}",
                width=4,
                height=5,
                format="png",
                source_key=f"originals/{job_id}/{i}.png",
            )
            for i in range(count)
        )
        job = jobs.NewJob(
            job_id=job_id,
            owner=owner,
            model="tripo3d/tripo/v2.5/image-to-3d",
            params={"texture": "HD"},
            images=images,
            rejected=(),
            low_priority=low,
            no_cache=False,
            webhook_url=None,
            estimated_micro=count * 400_000,
            ttl_ms=60_000,
        )
        await jobs.create(redis, job)
        return job

    return make
