"""Streams while the store comes back with older data: a snapshot says so, and nothing is made up."""

import asyncio

import pytest
from redis.asyncio import Redis

from image2model.store import job_reads
from image2model.up.store import EmbeddedStore
from tests.events.conftest import Process, api_process
from tests.support.jobs import create_job, fail, finish, pick, submit
from tests.support.rollback import Rollback
from tests.support.sse import EVENTS, Message, Stream, job_path, opened


@pytest.fixture
def redis_url(durable_store: EmbeddedStore) -> str:
    """Of a server that can go back."""
    return durable_store.url


async def _next(stream: Stream) -> Message:
    message = await stream.next(20)
    assert message is not None, "the stream ended"
    return message


async def test_open_streams_begin_again_where_the_store_went_back(
    process: Process, redis: Redis, rollback: Rollback
) -> None:
    job_id = await create_job(redis, 2)
    await asyncio.to_thread(rollback.save)
    async with opened(process.address, job_path(job_id)) as job, opened(process.address, EVENTS) as events:
        await _next(job)
        await _next(events)
        claims = await pick(redis)
        await submit(redis, claims[0])
        last = (await job.take(3))[-1]
        await events.take(3)
        await asyncio.to_thread(rollback.restore)
        again = [await _until_reset(stream) for stream in (job, events)]
        assert all(one.id < last.id for one in again)
        await pick(redis, 1)
        for stream, snapshot in zip((job, events), again, strict=True):
            following = await _next(stream)
            assert (following.id, following.brief) == (snapshot.id + 1, ("image", "preparing"))


@pytest.mark.parametrize("ahead", [False, True])
async def test_store_that_went_back_and_on_is_not_taken_for_the_same_history(
    process: Process, redis: Redis, rollback: Rollback, *, ahead: bool
) -> None:
    """`ahead`: it has already gone on beyond what the clients have seen when the process meets it."""
    job_id = await create_job(redis, 3)
    await asyncio.to_thread(rollback.save)
    async with opened(process.address, job_path(job_id)) as job, opened(process.address, EVENTS) as events:
        first, first_of_all = await _next(job), await _next(events)
        (claim,) = await pick(redis, 1)
        await fail(redis, claim)
        seen = (await job.take(2))[-1]
        await events.take(2)
        await asyncio.to_thread(rollback.restore)
        claims = await pick(redis)
        if ahead:
            for one in claims:
                await submit(redis, one)
                await finish(redis, one)
        found = [await _until_reset(stream) for stream in (job, events)]
        assert all(one.id >= start.id for one, start in zip(found, (first, first_of_all), strict=True))
        if ahead:
            assert (await job.rest())[-1].brief == ("complete", "succeeded")
        assert seen.brief == ("image", "failed")
    async with opened(process.address, job_path(job_id), last_id=seen.id) as back:
        assert (await _next(back)).json["reset"] is True  # its id is of an event that there is no longer


async def _until_reset(stream: Stream) -> Message:
    message = await _next(stream)
    assert message.event == "snapshot", message
    assert message.json["reset"] is True
    return message


async def test_client_ahead_of_the_store_gets_a_reset_from_any_process(
    redis: Redis, rollback: Rollback
) -> None:
    job_id = await create_job(redis)
    await asyncio.to_thread(rollback.save)
    await pick(redis)
    version = await job_reads.job_version(redis, job_id)
    await asyncio.to_thread(rollback.restore)
    with api_process(rollback.store.url) as other:
        for path in (job_path(job_id), EVENTS):
            async with opened(other.address, path, last_id=version) as stream:
                assert (await _next(stream)).json["reset"] is True


async def test_streams_of_a_flushed_store_end_or_begin_again(process: Process, redis: Redis) -> None:
    job_id = await create_job(redis)
    async with opened(process.address, job_path(job_id)) as job, opened(process.address, EVENTS) as events:
        last = await _next(job)
        await _next(events)
        await redis.flushall()
        assert await job.next(20) is None  # the job exists no longer: in good order
        again = await _next(events)
        assert (again.event, again.json) == ("snapshot", {"jobs": [], "reset": True})
        async with opened(process.address, job_path(job_id), last_id=last.id) as gone:
            assert gone.status == 404


async def test_streams_of_a_job_that_the_older_file_lacks_end(
    process: Process, redis: Redis, rollback: Rollback
) -> None:
    await create_job(redis)
    await asyncio.to_thread(rollback.save)
    later = await create_job(redis)
    async with opened(process.address, job_path(later)) as job:
        await _next(job)
        await asyncio.to_thread(rollback.restore)
        assert await job.next(20) is None
