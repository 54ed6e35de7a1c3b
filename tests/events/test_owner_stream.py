"""The stream of all of a caller's jobs."""

import asyncio

import pytest
from redis.asyncio import Redis

from image2model.jobs import records
from image2model.store.keys import key
from tests.support.jobs import create_job, pick, run
from tests.support.servers import Address
from tests.support.sse import EVENTS, Message, opened


async def test_opens_with_the_unfinished_jobs_or_none(redis: Redis, address: Address) -> None:
    async with opened(address, EVENTS) as stream:
        (event,) = await stream.take(1)
        assert (event.event, event.id, event.json) == ("snapshot", 0, {"jobs": []})
    await create_job(redis)
    await run(redis)
    unfinished = await create_job(redis)
    await create_job(redis, owner="bob")
    async with opened(address, EVENTS) as stream:
        (event,) = await stream.take(1)
    assert [job["job_id"] for job in event.json["jobs"]] == [unfinished]
    assert "images" not in event.json["jobs"][0]


@pytest.mark.also_on_cluster
async def test_shows_all_of_an_owners_jobs_in_one_order_and_stays_open(
    redis: Redis, address: Address
) -> None:
    async with opened(address, EVENTS) as stream:
        await stream.take(1)
        mine = [await create_job(redis, 2), await create_job(redis, 1)]
        await create_job(redis, 1, owner="bob")
        await run(redis)
        events = await stream.take(3 * 6 + 2)
        assert [event.id for event in events] == list(range(1, 21))
        assert {event.json["job_id"] for event in events} == set(mine)
        completes = [event.json for event in events if event.event == "complete"]
        assert sorted(done["job_id"] for done in completes) == sorted(mine)
        assert all("images" not in done and done["status"] == "succeeded" for done in completes)
        third = await create_job(redis)
        assert (await stream.take(1))[0].json["job_id"] == third


async def test_cut_after_each_event_and_resumed_equals_the_uncut_stream(
    redis: Redis, address: Address
) -> None:
    async with opened(address, EVENTS) as uncut:
        whole = await uncut.take(1)
        parts = await _take(address, None)
        for _ in range(2):
            await create_job(redis, 2)
        work = asyncio.create_task(run(redis))
        expected = 1 + 4 * 6 + 2
        while len(parts) < expected:
            parts += await _take(address, parts[-1].id)
        whole += await uncut.take(expected - 1)
        await work
    assert parts == whole


async def _take(address: Address, last_id: int | None) -> list[Message]:
    async with opened(address, EVENTS, last_id=last_id) as stream:
        return await stream.take(1)


async def test_erased_jobs_events_are_no_gap(redis: Redis, address: Address) -> None:
    erased, kept = await create_job(redis, 2), await create_job(redis, 1)
    await records.erase(redis, erased)
    async with opened(address, EVENTS, last_id=0) as stream:
        (event,) = await stream.take(1)
        assert (event.id, event.json["job_id"]) == (3, kept)
        await run(redis)
        assert [e.id for e in await stream.take(6)] == list(range(4, 10))


async def test_history_that_does_not_reach_back_gets_a_reset_snapshot(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis, 3)
    await pick(redis)  # all in one step, so the events behind the first are one entry
    await redis.xtrim(key("owner_events", "ann"), maxlen=1, approximate=False)
    for last_id in ("1", "7", "nonsense"):
        async with opened(address, EVENTS, last_id=last_id) as stream:
            (event,) = await stream.take(1)
            assert event.event == "snapshot"
            assert event.json["reset"] is True
            assert [job["job_id"] for job in event.json["jobs"]] == [job_id]
    async with opened(address, EVENTS, last_id=4) as stream:
        assert [event.id for event in await stream.take(2)] == [5, 6]
    async with opened(address, EVENTS, last_id=5) as stream:
        assert [event.id for event in await stream.take(1)] == [6]


async def test_deleted_job_leaves_the_owners_stream_open(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis)
    async with opened(address, EVENTS) as stream:
        await stream.take(1)
        await records.cancel(redis, job_id, delete=True)
        other = await create_job(redis)
        assert (await stream.take(1))[0].json["job_id"] == other
