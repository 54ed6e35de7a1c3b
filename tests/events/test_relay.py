"""The relay through trouble: store restarts, lost notifications, several processes, crowds, the end."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from image2model.store.connection import connect
from image2model.store.identity import negotiate
from image2model.store.keys import key
from image2model.telemetry.metrics import SSE_SUBSCRIBERS
from image2model.up.store import EmbeddedStore
from tests.events.conftest import Process, api_process
from tests.support.jobs import create_job, finish, pick, queue_position, run, submit
from tests.support.sse import EVENTS, Stream, job_path, opened
from tests.support.wait import wait_until


async def test_store_restart_loses_and_doubles_nothing(durable_store: EmbeddedStore) -> None:
    with api_process(durable_store.url) as process:
        async with connect(durable_store.url) as redis:
            job_id = await create_job(redis, 3)
            async with (
                opened(process.address, job_path(job_id)) as job,
                opened(process.address, EVENTS) as events,
            ):
                seen, seen_all = await job.take(1), await events.take(1)
                claims = await pick(redis)
                await submit(redis, claims[0])
                durable_store.kill()
                await asyncio.to_thread(durable_store.start, patience=5)
                for claim in claims[1:]:
                    await submit(redis, claim)
                for claim in claims:
                    await finish(redis, claim)
                seen += await job.rest(20)
                seen_all += await events.take(3 * 5 + 1)
    assert [e.id for e in seen] == list(range(3, 3 + 17))
    assert seen[-1].brief == ("complete", "succeeded")
    assert [e.id for e in seen_all] == [e.id for e in seen]


async def test_clients_stay_and_get_comments_while_the_store_is_away(durable_store: EmbeddedStore) -> None:
    with api_process(durable_store.url, comment_s=0.5) as process:
        async with connect(durable_store.url) as redis:
            job_id = await create_job(redis)
            async with opened(process.address, job_path(job_id)) as stream:
                await stream.take(1)
                durable_store.kill()
                reading = asyncio.create_task(stream.next(30))
                async with asyncio.timeout(20):
                    while stream.comments < 4:
                        await asyncio.sleep(0.05)
                async with opened(process.address, job_path(job_id)) as refused:
                    assert refused.status == 503
                    assert refused.headers["retry-after"]
                await asyncio.to_thread(durable_store.start, patience=5)
                await pick(redis)
                message = await reading
                assert message is not None
                assert message.brief == ("image", "preparing")


async def test_lost_pubsub_connection_is_made_up_for(redis: Redis, process: Process) -> None:
    job_id = await create_job(redis)
    async with opened(process.address, job_path(job_id)) as stream:
        seen = await stream.take(1)
        (claim,) = await pick(redis)
        await submit(redis, claim)
        for position in range(20):
            await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            await queue_position(redis, claim, position)
        await finish(redis, claim)
        seen += await stream.rest()
    assert [e.id for e in seen] == list(range(1, 28))


@pytest.mark.long
async def test_event_whose_notification_was_lost_is_delivered(redis: Redis, process: Process) -> None:
    job_id = await create_job(redis)
    async with opened(process.address, job_path(job_id)) as stream:
        await stream.take(1)
        await _append_silently(redis, job_id)
        assert (await stream.take(1))[0].id == 2


async def test_gap_that_the_next_notification_shows_is_filled_at_once(redis: Redis, process: Process) -> None:
    job_id = await create_job(redis)
    async with opened(process.address, job_path(job_id)) as stream:
        await stream.take(1)
        await _append_silently(redis, job_id)
        began = time.monotonic()
        await pick(redis)
        assert [event.id for event in await stream.take(2)] == [2, 3]
        assert time.monotonic() - began < 1


async def _append_silently(redis: Redis, job_id: str) -> None:
    """What the store does for an event, without the notification: as if it had got lost."""
    version = await redis.hincrby(key("job", job_id), "version", 1)
    ((_, fields),) = await redis.xrevrange(key("job_events", job_id), count=1)
    await redis.xadd(key("job_events", job_id), fields, id=f"{version}-0")


async def test_two_processes_show_the_same(redis: Redis, redis_url: str) -> None:
    job_id = await create_job(redis, 3)
    with api_process(redis_url) as one, api_process(redis_url) as two:
        async with (
            opened(one.address, job_path(job_id)) as here,
            opened(two.address, job_path(job_id)) as there,
        ):
            firsts = (await here.take(1), await there.take(1))
            await run(redis)
            assert firsts[0] + await here.rest() == firsts[1] + await there.rest()


async def test_everything_is_released_when_the_last_client_has_left(redis: Redis, process: Process) -> None:
    job_id = await create_job(redis)
    before = SSE_SUBSCRIBERS._value.get()
    async with opened(process.address, job_path(job_id)) as a, opened(process.address, EVENTS) as b:
        await a.take(1)
        await b.take(1)
        assert SSE_SUBSCRIBERS._value.get() == before + 2
        notifications = (await negotiate(redis)).identity.own_channels
        assert await _channels(redis) == {
            notifications.notification("").encode(),
            notifications.catalogue.encode(),
            notifications.notification("ann").encode(),
        }
    await asyncio.to_thread(wait_until, lambda: SSE_SUBSCRIBERS._value.get() == before)
    async with asyncio.timeout(60):
        idle = {notifications.notification("").encode(), notifications.catalogue.encode()}
        while await _channels(redis) != idle:
            await asyncio.sleep(0.01)
    async with opened(process.address, job_path(job_id)) as again:
        await again.take(1)
        await run(redis)
        assert (await again.rest())[-1].event == "complete"


async def _channels(redis: Redis) -> set[bytes]:
    return set(await redis.execute_command("PUBSUB", "CHANNELS"))


async def test_close_streams_ends_all_in_good_order(redis: Redis, process: Process) -> None:
    job_id = await create_job(redis)
    async with opened(process.address, job_path(job_id)) as a, opened(process.address, EVENTS) as b:
        await a.take(1)
        await b.take(1)
        loop = process.relay._tasks[0].get_loop()
        began = time.monotonic()
        loop.call_soon_threadsafe(process.relay.close_streams)
        assert (await a.rest(), await b.rest()) == ([], [])
        assert time.monotonic() - began < 9.5  # nothing waits for a comment (15 s) or a send timeout (10 s)
    async with opened(process.address, EVENTS) as refused:
        assert refused.status == 503


@pytest.mark.long
async def test_two_thousand_subscribers_lose_nothing_and_stay_small(redis: Redis, redis_url: str) -> None:
    jobs = [await create_job(redis, owner=f"owner-{i}") for i in range(20)]
    # the clients are read one after the other, in this process: none is to be cut for the others' time
    with api_process(redis_url, send_timeout_s=100) as process:
        before = _rss()
        streams = await _crowd(process, jobs, 2000)
        grown = (_rss() - before) / len(streams)
        await run(redis)
        for stream in streams:
            events = await stream.rest(60)
            assert [e.id for e in events] == list(range(1, 8))
            stream.writer.close()
    assert grown < 60 * 1024  # both ends of each connection are in this process


async def _crowd(process: Process, jobs: list[str], size: int) -> list[Stream]:
    """That many clients, concurrently, evenly over the jobs."""

    async def one(i: int) -> Stream:
        reader, writer = await asyncio.open_connection(process.address.host, process.address.port)
        owner = f"owner-{i % len(jobs)}"
        path = job_path(jobs[i % len(jobs)])
        writer.write(f"GET {path}?last_event_id=0 HTTP/1.1\r\nHost: t\r\nX-Owner: {owner}\r\n\r\n".encode())
        stream = Stream(reader, writer)
        await stream.begin()
        return stream

    streams: list[Stream] = []
    for start in range(0, size, 200):
        streams += await asyncio.gather(*(one(i) for i in range(start, min(start + 200, size))))
    return streams


def _rss() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
