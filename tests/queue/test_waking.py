"""A notification of new work wakes a few idle workers, and not each of them."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from image2model.queue import circuits, leases
from image2model.queue.leases import Claim
from image2model.store.identity import negotiate
from image2model.store.keys import Channels, Queue, key
from tests.support.fixtures import MakeJob
from tests.support.fleet import Fleet
from tests.support.wait import until

END = b"the end"


async def channels_of(redis: Redis) -> Channels:
    return (await negotiate(redis)).identity.own_channels


async def pick(redis: Redis, worker: str, free: int = 10) -> Sequence[Claim]:
    """Claims, or the registration of a worker that finds nothing."""
    picked = await leases.pick(
        redis,
        Queue.GENERATION,
        worker,
        free=free,
        reserve=0,
        lease_s=5,
        max_permits=100,
        waiter=worker,
    )
    return picked.claims


@asynccontextmanager
async def ears(redis: Redis, *workers: str) -> AsyncIterator[asyncio.Queue[str]]:
    """Who of these is woken within the block, in this order."""
    channels = await channels_of(redis)
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(channels.control, *map(channels.woken, workers))
        yield heard
        await redis.execute_command("PUBLISH", channels.control, END)
        async for message in pubsub.listen():
            if message["data"] == END:
                return
            heard.put_nowait(message["channel"].decode().rpartition(":")[2])


def names(heard: asyncio.Queue[str]) -> list[str]:
    return [heard.get_nowait() for _ in range(heard.qsize())]


async def registered(redis: Redis) -> list[str]:
    return [name.decode() for name in await redis.zrange(key("idle_workers", Queue.GENERATION.value), 0, -1)]


async def test_task_wakes_the_two_that_registered_last(redis: Redis, make_job: MakeJob) -> None:
    async with ears(redis, "w1", "w2", "w3") as heard:
        for worker in ("w1", "w2", "w3"):
            assert not await pick(redis, worker)
        await make_job(5)
    assert names(heard) == ["w3", "w2"]
    assert await registered(redis) == ["w1"]


async def test_worker_that_has_ended_is_passed_over(redis: Redis, make_job: MakeJob) -> None:
    async with ears(redis, "w1", "w2") as heard:
        for worker in ("w1", "w2", "w3"):
            await pick(redis, worker)
        await make_job(1)
    assert names(heard) == ["w2", "w1"]
    assert await registered(redis) == []


async def test_who_claims_is_not_registered(redis: Redis, make_job: MakeJob) -> None:
    await make_job(1)
    assert await pick(redis, "w1")
    assert await registered(redis) == []


async def test_paused_queue_registers_and_its_end_wakes(redis: Redis, make_job: MakeJob) -> None:
    await circuits.pause_queue(redis, Queue.GENERATION)
    await make_job(1)
    async with ears(redis, "w1") as heard:
        assert not await pick(redis, "w1")
        await circuits.resume_queue(redis, Queue.GENERATION)
    assert names(heard) == ["w1"]


async def test_worker_that_is_full_wakes_others_for_the_rest(redis: Redis, make_job: MakeJob) -> None:
    async with ears(redis, "w1") as heard:
        await make_job(5)
        await redis.zadd(key("idle_workers", Queue.GENERATION.value), {"w1": 1})
        await redis.pexpire(key("idle_workers", Queue.GENERATION.value), 10_000)
        assert len(await pick(redis, "w2", free=2)) == 2
    assert names(heard) == ["w1"]


async def test_registration_of_long_ago_is_removed(redis: Redis) -> None:
    await redis.zadd(key("idle_workers", Queue.GENERATION.value), {"gone": 1})
    await pick(redis, "w1")
    assert await registered(redis) == ["w1"]


async def test_pick_says_whether_another_may_find_more(redis: Redis, make_job: MakeJob) -> None:
    async def pick_some(free: int) -> tuple[int, bool]:
        picked = await leases.pick(
            redis, Queue.GENERATION, "w1", free=free, reserve=0, lease_s=5, max_permits=100
        )
        return len(picked.claims), picked.wait_ms == 0

    await make_job(5)
    assert await pick_some(2) == (2, True)
    assert await pick_some(10) == (3, False)
    assert await pick_some(10) == (0, False)


async def resting(fleet: Fleet, count: int) -> None:
    """So many workers have registered, and none of them hears what all would hear."""
    ready = (await channels_of(fleet.redis)).ready

    async def rest() -> bool:
        listeners = dict(await fleet.redis.pubsub_numsub(ready))
        return len(await registered(fleet.redis)) == count and listeners[ready.encode()] == 0

    await until(rest, timeout=60)


@pytest.mark.long
async def test_workers_leave_the_common_channel_and_the_one_with_a_task_joins_it(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=10)
    for _ in range(3):
        fleet.start_worker()
    await resting(fleet, 3)
    ready = (await channels_of(fleet.redis)).ready
    job_id = await fleet.submit(1)

    async def one_listens() -> bool:
        return bool(dict(await fleet.redis.pubsub_numsub(ready))[ready.encode()] == 1)

    await until(one_listens, timeout=9)  # before the image ends
    await fleet.until_finished(job_id)
    await resting(fleet, 3)


@pytest.mark.long
async def test_worker_outlives_the_loss_of_its_connection_again_and_again(fleet: Fleet) -> None:
    """While it rests and while it has a task, more often than a loop is restarted after errors."""
    fleet.emulator.settings(latency=2)
    worker = fleet.start_worker()
    await resting(fleet, 1)
    job_id = ""
    for number in range(7):
        if number == 3:
            job_id = await fleet.submit(1)
        control = (await channels_of(fleet.redis)).control

        async def is_listening(control: str = control) -> bool:
            return bool(dict(await fleet.redis.pubsub_numsub(control))[control.encode()] == 1)

        await until(is_listening, timeout=10)
        await fleet.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    assert (await fleet.until_finished(job_id)).counts.succeeded == 1
    await resting(fleet, 1)
    assert not worker.ended
    assert "unexpected_error" not in worker.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_picture_starts_although_those_that_are_woken_do_nothing(
    fleet: Fleet, number: signal.Signals
) -> None:
    workers = [fleet.start_worker() for _ in range(3)]
    await resting(fleet, 3)
    woken = (await registered(fleet.redis))[-2:]
    for worker in workers:
        if any(f"-{worker.pid}-" in name for name in woken):
            worker.send(number)
    job = await fleet.until_finished(await fleet.submit(1))
    started_at = job.images[0].started_at
    assert started_at is not None
    assert started_at - job.job.created_at < 2500
    for worker in workers:
        worker.send(signal.SIGCONT)
