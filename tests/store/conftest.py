"""A connection to the empty server, and jobs to work on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from redis.asyncio import Redis

from image2model.jobs.records import NewJob
from image2model.store.connection import connect
from tests.support import jobs
from tests.support.keys import keys_without_life

MakeJob = Callable[..., Awaitable[NewJob]]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client; at the end of the test every key must have a life of its own."""
    async with connect(redis_url) as client:
        yield client
        assert await keys_without_life(client) == []


@pytest.fixture
def make_job(redis: Redis) -> MakeJob:
    """Creates a job of `count` images for `owner`."""
    return partial(jobs.make_job, redis)
