"""What a finished job keeps after a while, and that a client that comes back late sees it right."""

from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from image2model.client import AsyncClient, Complete, Snapshot
from image2model.events import history
from image2model.generation.costs import Outcome
from image2model.jobs import records
from image2model.operations.dead_letters import histories
from image2model.operations.settling import HISTORY_S, settle_jobs
from image2model.store import job_reads
from image2model.store.data_versions import LATEST
from image2model.store.identity import negotiate
from image2model.store.keys import key
from tests.events.conftest import api_process
from tests.support.javascript import run_client
from tests.support.jobs import book, create_job, fail, finish, pick, run, submit
from tests.support.served_api import MakeService
from tests.support.servers import Address
from tests.support.sse import EVENTS, job_path, opened


@pytest.fixture
def address(redis_url: str) -> Iterator[Address]:
    """One API process with nothing but the event streams."""
    with api_process(redis_url) as process:
        yield process.address


async def test_a_late_resume_gets_the_whole_job_and_its_end(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis, 2)
    async with opened(address, job_path(job_id)) as stream:
        (seen,) = await stream.take(1)
    await run(redis)
    assert await settle_jobs(redis, older_than_s=0) == 1
    async with opened(address, job_path(job_id), last_id=seen.id) as stream:
        snapshot, complete = await stream.rest()
    assert (snapshot.event, complete.event) == ("snapshot", "complete")
    assert snapshot.json == {**complete.json, "reset": True}
    assert [image["status"] for image in complete.json["images"]] == ["succeeded"] * 2
    async with opened(address, job_path(job_id), last_id=complete.id) as stream:
        assert stream.status == 204
    async with opened(address, job_path(job_id), last_id=snapshot.id) as stream:
        assert await stream.rest() == [complete]


async def test_clients_that_slept_come_out_right(redis: Redis, make_service: MakeService) -> None:
    address = make_service().address
    job_id = await create_job(redis, 2, owner="local")
    seen = str(await job_reads.job_version(redis, job_id))
    await run(redis)
    await settle_jobs(redis, older_than_s=0)
    async with AsyncClient(address.url) as client:
        snapshot, complete = [one async for one in client.events(job_id, last_event_id=seen)]
    assert isinstance(snapshot, Snapshot)
    assert isinstance(complete, Complete)
    assert snapshot.reset
    assert [image.status for image in complete.job.images] == ["succeeded"] * 2
    events = await run_client(
        "return all(client.follow(given.job, { lastEventId: given.id }));",
        url=address.url,
        given={"job": job_id, "id": seen},
    )
    assert [(one["type"], one.get("reset")) for one in events] == [("snapshot", True), ("complete", None)]
    assert events[0]["job"] == events[1]["job"]


@pytest.mark.parametrize("version", [5, LATEST])
async def test_a_late_resume_of_an_owner_is_told_that_events_are_missing(
    redis: Redis, address: Address, version: int
) -> None:
    await negotiate(redis)
    await redis.hset(key("store"), "version", str(version))  # 5 names a last entry by its number
    settled = await create_job(redis, 2)
    await run(redis)
    await redis.hset(key("store"), "version", str(LATEST))
    await settle_jobs(redis, older_than_s=0)
    running = await create_job(redis)
    async with opened(address, EVENTS, last_id=3) as stream:
        (snapshot,) = await stream.take(1)
    assert snapshot.json["reset"] is True
    assert [job["job_id"] for job in snapshot.json["jobs"]] == [running]
    async with opened(address, EVENTS, last_id=snapshot.id - 2) as stream:  # all but the end was seen
        complete, queued = await stream.take(2)
    assert (complete.event, complete.json["job_id"]) == ("complete", settled)
    assert (queued.event, queued.id) == ("image", snapshot.id)


async def test_an_open_stream_of_the_owner_goes_on(redis: Redis, address: Address) -> None:
    async with opened(address, EVENTS) as stream:
        await stream.take(1)
        await create_job(redis)
        await run(redis)
        ids = [event.id for event in await stream.take(7)]
        await settle_jobs(redis, older_than_s=0)
        await create_job(redis)
        assert (await stream.take(1))[0].id == ids[-1] + 1


async def test_history_is_whole_until_then(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis)
    await run(redis)
    assert await settle_jobs(redis) == 0
    async with opened(address, job_path(job_id), last_id=0) as stream:
        assert [event.id for event in await stream.rest()] == list(range(1, 8))
    await redis.zincrby(key("unsettled"), -1000 * HISTORY_S, job_id)
    assert await settle_jobs(redis) == 1
    assert await settle_jobs(redis) == 0


async def test_the_document_stays_as_it_was(redis: Redis) -> None:
    job_id = await create_job(redis, 2)
    await run(redis)
    before = await job_reads.read_job(redis, job_id)
    live = await history.of_job(redis, job_id, before.version - 1)
    await settle_jobs(redis, older_than_s=0)
    assert await job_reads.read_job(redis, job_id) == before
    assert await history.of_job(redis, job_id, 0) == live
    assert not await redis.exists(key("job_events", job_id))


async def test_a_change_after_that_is_an_event_and_is_settled_too(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await finish(redis, claim)
    await settle_jobs(redis, older_than_s=0)
    async with opened(address, EVENTS) as stream:
        await stream.take(1)
        await book(redis, claim.task_id, 70_000, request_id="another", attempt="a0")
        changed, complete = await stream.take(2)
    assert [changed.event, complete.event] == ["image", "complete"]
    async with opened(address, EVENTS, last_id=changed.id - 2) as stream:
        first, *others = await stream.take(3)
    assert others == [changed, complete]
    assert first.json["cost_usd"] == 0.3
    assert await settle_jobs(redis, older_than_s=0) == 1
    assert [event.version for event in await history.of_job(redis, job_id, 0)] == [9]


async def test_a_booking_that_is_repeated_late_stays_harmless(redis: Redis) -> None:
    await create_job(redis)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await finish(redis, claim)
    await settle_jobs(redis, older_than_s=0)
    booked = await redis.hgetall(key("account", "ann"))
    again = await book(redis, claim.task_id, request_id="r1", attempt="a1")
    assert again.outcome is Outcome.ALREADY_BOOKED
    assert await redis.hgetall(key("account", "ann")) == booked


async def test_failed_images_keep_their_history_and_can_be_retried(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis, 2)
    lost, made = await pick(redis)
    await fail(redis, lost)
    await submit(redis, made)
    await finish(redis, made)
    await settle_jobs(redis, older_than_s=0)
    ids = frozenset({lost.task_id})
    changes = (await histories(redis, job_id, ids))[lost.task_id]
    assert [change.status for change in changes] == ["queued", "preparing", "failed"]
    await records.retry(redis, job_id, None, None, low_priority=False)
    await run(redis)
    assert (await job_reads.read_job(redis, job_id)).counts.succeeded == 2
    async with opened(address, job_path(job_id), last_id=0) as stream:
        assert [event.brief[1] for event in await stream.rest() if event.event == "complete"] == [
            "partial",
            "succeeded",
        ]


async def test_a_reopened_job_is_not_settled(redis: Redis) -> None:
    job_id = await create_job(redis)
    (claim,) = await pick(redis)
    await fail(redis, claim)
    await records.retry(redis, job_id, None, None, low_priority=False)
    assert await settle_jobs(redis, older_than_s=0) == 0
    await run(redis)
    assert await settle_jobs(redis, older_than_s=0) == 1


async def test_nothing_is_settled_while_a_release_before_may_read_it(redis: Redis) -> None:
    await negotiate(redis)
    await redis.hset(key("store"), "version", "4")  # histories are shortened from 5 on
    await create_job(redis)
    await run(redis)
    assert await settle_jobs(redis, older_than_s=0) == 0
