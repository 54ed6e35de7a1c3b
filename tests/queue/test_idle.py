"""A service that has nothing to do leaves the store alone, and starts at once when something comes."""

import asyncio
import json
import signal
import time

import pytest
from redis.asyncio import Redis

from image2model.queue import circuits
from image2model.queue.activity import Activity
from image2model.store.keys import Queue, key
from tests.support.fixtures import MakeJob
from tests.support.fleet import Fleet
from tests.support.leases import pick
from tests.support.ports import free_ports
from tests.support.wait import until

WATCHED_S = 4.0
MOST_WINDOWS = 10
MOST_COMMANDS_A_SECOND = 20


async def executed(redis: Redis) -> int:
    """How many commands the store has executed, those inside scripts included."""
    return sum(
        row["calls"] for name, row in (await redis.info("commandstats")).items() if name != "cmdstat_info"
    )


async def workers_alive(redis: Redis, count: int) -> None:
    async def alive() -> bool:
        return int(await redis.zcard(key("workers"))) == count

    await until(alive, timeout=60)


async def idle(redis: Redis) -> None:
    """The maintenance that a worker runs at its start has ended."""
    seen = Activity(redis)

    async def nothing() -> bool:
        seen.notice()
        return await seen.is_idle()

    await until(nothing, timeout=30)


@pytest.mark.long
async def test_idle_service_asks_the_store_little(fleet: Fleet) -> None:
    (port,) = free_ports(1)
    await fleet.start_api(port)
    fleet.start_worker()
    await workers_alive(fleet.redis, 1)
    await idle(fleet.redis)
    rates: list[float] = []
    # a process that has just started also reads FAL's catalogue and repairs
    while [rate <= MOST_COMMANDS_A_SECOND for rate in rates[-2:]] != [True, True]:
        assert len(rates) < MOST_WINDOWS, rates
        before, began = await executed(fleet.redis), time.monotonic()
        await asyncio.sleep(WATCHED_S)  # the time is what is measured
        rates.append((await executed(fleet.redis) - before) / (time.monotonic() - began))


@pytest.mark.long
async def test_picture_starts_at_once_in_an_idle_fleet(fleet: Fleet) -> None:
    """Far within the five seconds after which an idle worker looks by itself."""
    for _ in range(2):
        fleet.start_worker()
    await workers_alive(fleet.redis, 2)
    await idle(fleet.redis)
    job = await fleet.until_finished(await fleet.submit(1))
    image = job.images[0]
    assert image.started_at is not None
    assert image.started_at - job.job.created_at < 4000


@pytest.mark.long
async def test_task_of_a_worker_that_died_at_once_is_taken_over(fleet: Fleet) -> None:
    """Both were idle, so nobody had swept for long."""
    fleet.emulator.settings(latency=20)
    workers = [fleet.start_worker(I2M_UNCONFIRMED_GRACE="5") for _ in range(2)]
    await workers_alive(fleet.redis, 2)
    await idle(fleet.redis)
    job_id = await fleet.submit(1)
    await fleet.until(job_id, lambda job: job.counts.submitted + job.counts.generating == 1)
    token = await fleet.redis.hget(key("image", (await fleet.job(job_id)).images[0].image_id), "fence")
    assert token is not None
    first, second = sorted(workers, key=lambda one: f"-{one.pid}-".encode() not in token)
    first.send(signal.SIGKILL)

    async def taken_over() -> bool:
        now = await fleet.redis.hget(key("image", (await fleet.job(job_id)).images[0].image_id), "fence")
        return now is not None and f"-{second.pid}-".encode() in now

    await until(taken_over, timeout=20)


async def test_signs_of_work(redis: Redis, make_job: MakeJob) -> None:
    seen = Activity(redis)

    async def is_idle() -> bool:
        seen.notice()
        return await seen.is_idle()

    assert await is_idle()
    await circuits.pause_queue(redis, Queue.GENERATION)
    assert not await is_idle()
    await circuits.resume_queue(redis, Queue.GENERATION)
    assert await is_idle()
    await make_job(1)
    assert not await is_idle()
    assert await pick(redis)
    assert not await is_idle()


async def test_turn_is_one_process_s(redis: Redis) -> None:
    one, other = Activity(redis), Activity(redis)
    assert await one.take_turn()
    assert not await other.take_turn()
    assert (one.has_turn, other.has_turn) == (True, False)
    assert (one.turn.is_set(), other.turn.is_set()) == (True, False)


@pytest.mark.parametrize(("workers", "share"), [(1, 1), (10, 1), (25, 2.5), (100, 10)])
async def test_large_fleet_asks_as_often_as_ten_workers(redis: Redis, workers: int, share: float) -> None:
    seen = Activity(redis)
    seen.workers = workers
    assert seen.share == share


async def test_notice_ends_the_wait(redis: Redis) -> None:
    seen = Activity(redis)
    assert await seen.is_idle()
    waiting = asyncio.create_task(seen.pause(60))
    await asyncio.sleep(0)
    seen.notice()
    async with asyncio.timeout(0.5):
        await waiting


async def test_lost_notification_is_made_up_for(fleet: Fleet) -> None:
    """As where a connection is cut: the worker looks for itself when it subscribes again."""
    worker = fleet.start_worker()
    await workers_alive(fleet.redis, 1)
    await idle(fleet.redis)
    await fleet.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    job = await fleet.until_finished(await fleet.submit(1))
    assert job.counts.succeeded == 1
    assert not worker.ended
    assert not [line for line in worker.log.read_text().splitlines() if json.loads(line)["level"] == "error"]
