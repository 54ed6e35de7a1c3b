"""The stream of one job: what it shows, how it ends, how it goes on after a cut."""

import asyncio

import pytest
from redis.asyncio import Redis

from image2model.jobs import records
from image2model.store.keys import key
from tests.support.jobs import create_job, fail, finish, pick, run, submit
from tests.support.servers import Address
from tests.support.sse import Message, job_path, opened

STATES = ["preparing", "submitted", "generating", "storing", "succeeded"]


@pytest.mark.also_on_cluster
async def test_shows_every_state_in_order_and_ends_with_complete(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis, 2)
    async with opened(address, job_path(job_id)) as stream:
        first = await stream.take(1)
        await run(redis)
        events = first + await stream.rest()
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["cache-control"] == "no-cache"
    assert stream.headers["x-accel-buffering"] == "no"
    assert stream.retry == 2000
    assert (events[0].brief, events[-1].brief) == (("snapshot", "queued"), ("complete", "succeeded"))
    for image in events[0].json["images"]:
        assert [
            e.json["image"]["status"]
            for e in events[1:-1]
            if e.json["image"]["image_id"] == image["image_id"]
        ] == STATES
    ids = [event.id for event in events]
    assert ids == list(range(ids[0], ids[0] + len(events)))
    assert len(events[-1].json["images"]) == 2


async def test_cut_after_each_event_and_resumed_equals_the_uncut_stream(
    redis: Redis, address: Address
) -> None:
    job_id = await create_job(redis, 2)
    async with opened(address, job_path(job_id)) as uncut:
        parts = await _take(address, job_path(job_id), None)
        whole = await uncut.take(1)
        work = asyncio.create_task(run(redis))
        while parts[-1].event != "complete":
            parts += await _take(address, job_path(job_id), parts[-1].id)
        whole += await uncut.rest()
        await work
    assert parts == whole


async def _take(address: Address, path: str, last_id: int | None) -> list[Message]:
    """One event of a stream, then the connection is cut."""
    async with opened(address, path, last_id=last_id) as stream:
        return await stream.take(1)


async def test_every_point_of_history_can_be_resumed_from(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis, 2)
    await run(redis)
    async with opened(address, job_path(job_id), last_id=0) as stream:
        history = await stream.rest()
    assert [event.id for event in history] == list(range(1, len(history) + 1))
    for event in history[:-1]:
        async with opened(address, f"{job_path(job_id)}?last_event_id={event.id}") as stream:
            assert await stream.rest() == history[event.id :]


async def test_finished_job_answers_snapshot_complete_end_and_then_204(
    redis: Redis, address: Address
) -> None:
    job_id = await create_job(redis)
    await run(redis)
    async with opened(address, job_path(job_id)) as stream:
        events = await stream.rest()
    assert [event.event for event in events] == ["snapshot", "complete"]
    assert events[0].json == events[1].json
    async with opened(address, job_path(job_id), last_id=events[1].id) as again:
        assert again.status == 204
        assert again.headers["content-type"].startswith("text/event-stream")
    async with opened(address, job_path(job_id), last_id=events[0].id) as cut_between_the_two:
        assert await cut_between_the_two.rest() == events[1:]


@pytest.mark.parametrize("last_id", ["99999", "-1", "abc", "1.5", "9" * 40])
async def test_id_that_cannot_be_resumed_from_gets_a_reset_snapshot(
    redis: Redis, address: Address, last_id: str
) -> None:
    job_id = await create_job(redis)
    async with opened(address, job_path(job_id), last_id=last_id) as stream:
        (event,) = await stream.take(1)
        assert event.event == "snapshot"
        assert event.json["reset"] is True
        assert event.json["job_id"] == job_id
        await run(redis)
        assert [e.brief[1] for e in await stream.rest()] == [*STATES, "succeeded"]


async def test_trimmed_history_gets_a_reset_snapshot(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis, 3)
    await pick(redis)  # all in one step, so their events are one entry
    await redis.xtrim(key("job_events", job_id), maxlen=1, approximate=False)
    async with opened(address, job_path(job_id), last_id=2) as stream:
        assert (await stream.take(1))[0].json["reset"] is True
    for last_id in (3, 4, 5):
        async with opened(address, job_path(job_id), last_id=last_id) as stream:
            assert (await stream.take(1))[0].id == last_id + 1


async def test_reopened_job_goes_on_through_an_old_complete(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis)
    (claim,) = await pick(redis)
    async with opened(address, job_path(job_id)) as stream:
        await fail(redis, claim)
        first = await stream.rest()
    assert first[-1].brief == ("complete", "failed")
    await records.retry(redis, job_id, None, None, low_priority=False)
    async with opened(address, job_path(job_id), last_id=first[0].id) as stream:
        replayed = await stream.take(3)
        assert replayed[:2] == first[1:]
        assert replayed[2].brief == ("image", "queued")
        await run(redis)
        later = await stream.rest()
    assert [event.brief[1] for event in later] == [*STATES, "succeeded"]
    async with opened(address, job_path(job_id), last_id=first[-1].id) as stream:
        assert await stream.rest() == replayed[2:] + later


async def test_deleted_job_ends_the_stream_and_then_does_not_exist(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis)
    async with opened(address, job_path(job_id)) as stream:
        await stream.take(1)
        await records.cancel(redis, job_id, delete=True)
        assert await stream.rest() == []
    async with opened(address, job_path(job_id)) as stream:
        assert stream.status == 404


async def test_unknown_and_foreign_jobs_do_not_exist(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis)
    async with opened(address, job_path(job_id)) as mine, opened(address, job_path("no-such-job")) as unknown:
        await mine.take(1)
        async with opened(address, job_path(job_id), owner="bob") as foreign:
            assert (unknown.status, foreign.status) == (404, 404)
            assert b'"code":"not_found"' in await foreign.body()
    async with opened(address, job_path(job_id), owner="bob") as foreign:
        assert foreign.status == 404


async def test_head_answers_without_a_stream(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis)
    async with opened(address, job_path(job_id), method="HEAD") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
    await submit(redis, (claim := (await pick(redis))[0]))
    await finish(redis, claim)
