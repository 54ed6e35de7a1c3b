"""Fixtures of the whole suite: the empty store and jobs in it, fleets of real processes.

At the end of each test that uses one of them, every key of the store must have a TTL of its own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis

from image2model.jobs.new_jobs import NewJob
from image2model.store.connection import connect
from tests.support import jobs
from tests.support.fleet import Fleet, fleet_on
from tests.support.keys import keys_without_ttl
from tests.support.stage import Stage, stage_on

MakeJob = Callable[..., Awaitable[NewJob]]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of the empty store."""
    async with connect(redis_url) as client:
        yield client
        assert await keys_without_ttl(client) == []


@pytest.fixture
def make_job(redis: Redis) -> MakeJob:
    """Creates a job of `count` images for `owner`."""
    return partial(jobs.make_job, redis)


@pytest.fixture
async def fleet(redis_url: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Store, emulator and storage; the test starts the workers."""
    async with fleet_on(redis_url, tmp_path) as fleet:
        yield fleet
        assert await keys_without_ttl(fleet.redis) == []


@pytest.fixture
async def stage(redis_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    """The same behind gates, and no worker yet."""
    async with stage_on(redis_url, tmp_path, redis_url) as stage:
        yield stage
        assert await keys_without_ttl(stage.fleet.redis) == []
