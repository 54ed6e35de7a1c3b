"""Workers that vanish without a goodbye are counted by the fleet, each once."""

import time

import pytest
from redis.asyncio import Redis

from image2model.queue import fleet
from image2model.queue.fleet import HEARTBEAT_TTL_SECONDS, Beat, Heartbeat
from image2model.store.keys import key


def _heartbeat(name: str) -> Heartbeat:
    return Heartbeat(worker_id=name, host="h", pid=1, queues=("q",), running=0, slots=1, started_at=1)


@pytest.fixture
async def silent(redis: Redis) -> str:
    """A worker whose last heartbeat is three TTLs old, while another one's go on."""
    await fleet.heartbeat(redis, _heartbeat("silent"))
    await fleet.heartbeat(redis, _heartbeat("steady"))
    await _aged(redis, "silent", 3)
    return "silent"


async def _aged(redis: Redis, name: str, ttls: float) -> None:
    at = time.time() - ttls * HEARTBEAT_TTL_SECONDS
    await redis.execute_command("ZADD", key("workers"), at * 1000, name)
    await redis.delete(key("worker", name))


async def test_silent_worker_is_counted_once(redis: Redis, silent: str) -> None:
    assert await fleet.heartbeat(redis, _heartbeat("steady")) == Beat([silent], 1)
    assert await fleet.heartbeat(redis, _heartbeat("steady")) == Beat([], 1)
    assert (await fleet.read(redis)).workers_lost == 1


async def test_goodbye_is_no_loss(redis: Redis, silent: str) -> None:
    await fleet.leave(redis, silent)
    assert (await fleet.heartbeat(redis, _heartbeat("steady"))).lost == []
    assert (await fleet.read(redis)).workers_lost == 0


async def test_one_that_missed_a_heartbeat_is_no_loss(redis: Redis, silent: str) -> None:
    await _aged(redis, silent, 1.5)
    assert (await fleet.heartbeat(redis, _heartbeat("steady"))).lost == []


async def test_after_an_outage_everybody_has_time_to_be_heard(redis: Redis, silent: str) -> None:
    await _aged(redis, "steady", 2.5)  # nobody could send one
    assert (await fleet.heartbeat(redis, _heartbeat("steady"))).lost == []
    assert (await fleet.heartbeat(redis, _heartbeat(silent))).lost == []
    await redis.hset(key("losses"), "grace_until", "1")
    assert (await fleet.heartbeat(redis, _heartbeat("steady"))).lost == []
    assert (await fleet.read(redis)).workers_lost == 0


async def test_whoever_is_silent_beyond_that_time_is_lost(redis: Redis, silent: str) -> None:
    await _aged(redis, "steady", 2.5)
    await fleet.heartbeat(redis, _heartbeat("steady"))
    await redis.hset(key("losses"), "grace_until", "1")
    assert (await fleet.heartbeat(redis, _heartbeat("steady"))).lost == [silent]
    assert (await fleet.read(redis)).workers_lost == 1
