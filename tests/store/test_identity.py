"""A store's own id, and the version that is written to it until nobody of an earlier release is left."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from image2model.cli.commands.upgrade import describe_upgrade
from image2model.errors import ConfigurationError
from image2model.queue import fleet, reconciliation
from image2model.store import arq_keys, job_reads
from image2model.store.connection import StoreOutage, command, connect
from image2model.store.data_versions import LATEST, LAYOUTS
from image2model.store.identity import StoreIdentity, StoreWatch, Upgrade, negotiate
from image2model.store.keys import SHARED_CHANNELS, Queue, key
from image2model.store.records import IMAGE_FIELDS, JOB_FIELDS
from image2model.worker.process import FUNCTIONS
from tests.support.fixtures import MakeJob
from tests.support.stage import taking_no_writes

_LIFE_S = 0.6


async def old_heartbeat(redis: Redis, worker: str = "old") -> None:
    """As a worker of 8adfc9c beats."""
    beat, workers = key("worker", worker).plain, key("workers").plain
    await command(redis, "HSET", beat, "beat_at", 1, "host", "here")
    await command(redis, "PEXPIRE", beat, 15_000)
    await command(redis, "ZADD", workers, time.time() * 1000, worker)
    await command(redis, "PEXPIRE", workers, 60_000)


@asynccontextmanager
async def old_listener(redis: Redis, channel: str) -> AsyncIterator[None]:
    """As a process of 8adfc9c listens."""
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(channel)
        await pubsub.get_message(timeout=5)
        yield


async def test_new_store_has_an_id_of_its_own_and_the_newest_version(redis: Redis) -> None:
    first = await negotiate(redis)
    assert first.identity.version == LATEST
    assert (await negotiate(redis)).identity == first.identity
    await redis.flushdb()
    assert (await negotiate(redis)).identity.store_id != first.identity.store_id


async def test_script_that_comes_before_every_process_makes_the_id(redis: Redis, make_job: MakeJob) -> None:
    await make_job(1)
    made = await command(redis, "HGETALL", key("store"))
    head = (await negotiate(redis)).identity
    assert made == {b"id": head.store_id.encode(), b"version": str(LATEST).encode()}


async def test_databases_of_one_server_have_different_ids(redis: Redis, redis_url: str) -> None:
    async with connect(f"{redis_url}?db=1") as other:
        assert (await negotiate(redis)).identity.store_id != (await negotiate(other)).identity.store_id


@pytest.mark.parametrize("sign", ["heartbeat", "api", "worker"])
async def test_store_of_the_first_release_is_written_as_before(
    redis: Redis, make_job: MakeJob, sign: str
) -> None:
    channel = SHARED_CHANNELS.notification("") if sign == "api" else SHARED_CHANNELS.control
    if sign == "heartbeat":
        await old_heartbeat(redis)
        assert (await negotiate(redis)).workers == 1
    else:
        async with old_listener(redis, channel):
            found = await negotiate(redis)
            assert (found.apis, found.workers) == ((1, 0) if sign == "api" else (0, 1))
    assert (await negotiate(redis)).identity.version == 1
    async with redis.pubsub() as ears:
        await ears.subscribe(SHARED_CHANNELS.notification("ann"))
        job = await make_job(1)
        async for message in ears.listen():
            if message["type"] == "message":
                break
    stream = await redis.xrange(key("job_events", job.job_id))
    assert LAYOUTS[0].image_fields < len(IMAGE_FIELDS)
    assert b"created_at" not in stream[0][1][b"d"]
    assert len((await job_reads.read_job(redis, job.job_id)).images) == 1


async def test_version_goes_up_once_nobody_was_seen_for_a_ttl_and_never_back(redis: Redis) -> None:
    await old_heartbeat(redis)
    assert (await negotiate(redis, reader_ttl_s=_LIFE_S)).identity.version == 1
    await command(redis, "DEL", key("worker", "old"))
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(60):
        while (await negotiate(redis, reader_ttl_s=_LIFE_S)).identity.version == 1:
            await asyncio.sleep(0.05)
    assert loop.time() - began >= _LIFE_S
    await old_heartbeat(redis)
    found = await negotiate(redis, reader_ttl_s=_LIFE_S)
    assert (found.identity.version, found.workers) == (LATEST, 1)
    assert describe_upgrade(found).endswith("the newest, which 1 worker of the first release cannot read.")


@pytest.mark.parametrize(
    ("workers", "apis", "behind", "words"),
    [
        (1, 0, 0, "held back by 1 worker of the first release."),
        (2, 1, 0, "2 workers of the first release and 1 API process of the first release, or of another"),
        (0, 0, 3, "held back by 3 processes of an earlier release."),
        (0, 0, 0, "nothing holds it back, and it rises in seconds."),
    ],
)
def test_what_holds_the_version_back_is_said_in_words(
    workers: int, apis: int, behind: int, words: str
) -> None:
    upgrade = Upgrade(identity=StoreIdentity(1, "id"), workers=workers, apis=apis, behind=behind)
    assert words in describe_upgrade(upgrade)


async def test_a_break_in_the_looks_begins_the_wait_anew(redis: Redis) -> None:
    """As after an outage of the store: the heartbeats have run out, and their workers come back."""
    await old_heartbeat(redis)
    await negotiate(redis, reader_ttl_s=_LIFE_S)
    await command(redis, "DEL", key("worker", "old"))
    await negotiate(redis, reader_ttl_s=_LIFE_S)
    await asyncio.sleep(_LIFE_S * 1.1)  # the break itself
    assert (await negotiate(redis, reader_ttl_s=_LIFE_S)).identity.version == 1
    await old_heartbeat(redis)
    found = await negotiate(redis, reader_ttl_s=_LIFE_S)
    assert (found.identity.version, found.workers) == (1, 1)


async def test_a_heartbeat_of_this_release_holds_nothing_back(redis: Redis) -> None:
    heartbeat = fleet.Heartbeat(worker_id="w", host="h", pid=1, queues=(), running=0, slots=1, started_at=1)
    await old_heartbeat(redis)
    await fleet.heartbeat(redis, heartbeat)
    found = await negotiate(redis, process="w")
    assert (found.identity.version, found.workers) == (1, 1)
    await command(redis, "DEL", key("worker", "old"))
    assert (await negotiate(redis, process="w")).workers == 0


async def test_what_cannot_be_waited_for_can_be_passed_over(redis: Redis) -> None:
    async with old_listener(redis, SHARED_CHANNELS.notification("")):
        assert (await negotiate(redis)).identity.version == 1
        assert (await negotiate(redis, force=True)).identity.version == LATEST


async def test_store_of_a_newer_release_is_refused(redis: Redis) -> None:
    await negotiate(redis)
    await command(redis, "HSET", key("store"), "version", LATEST + 1)
    with pytest.raises(ConfigurationError, match=f"data version {LATEST + 1}"):
        await negotiate(redis)


async def test_a_process_of_a_release_in_between_holds_the_next_version_back(redis: Redis) -> None:
    """As it will be for version 3: whoever reads less is waited for by its own word."""
    await old_heartbeat(redis)
    await negotiate(redis)
    await command(redis, "ZADD", key("readers"), 9e12, "1 older-process")
    await command(redis, "PEXPIRE", key("readers"), 60_000)
    await command(redis, "DEL", key("worker", "old"))
    found = await negotiate(redis, process="new", force=True)
    assert (found.identity.version, found.behind) == (1, 1)


async def test_watch_tells_of_a_store_that_is_another(redis: Redis) -> None:
    watch = StoreWatch(redis, "one")
    head = await watch.refresh()
    watch.changed.clear()
    running = asyncio.create_task(watch.run())
    try:
        await redis.flushdb()
        async with asyncio.timeout(60):
            await watch.changed.wait()
        assert watch.identity is not None
        assert watch.identity.store_id != head.store_id
    finally:
        running.cancel()


async def test_store_that_takes_no_writes_is_known_by_what_it_holds(redis: Redis) -> None:
    head = (await negotiate(redis)).identity
    async with taking_no_writes(redis):
        with pytest.raises(StoreOutage):
            await negotiate(redis)
        assert await StoreWatch(redis, "one").refresh() == head


def test_table_of_versions_covers_what_this_release_writes() -> None:
    newest = LAYOUTS[-1]
    assert [layout.version for layout in LAYOUTS] == list(range(1, LATEST + 1))
    assert (newest.image_fields, newest.job_fields) == (len(IMAGE_FIELDS), len(JOB_FIELDS))
    known = frozenset[str]().union(*(layout.functions for layout in LAYOUTS))
    served = {function.name for functions in FUNCTIONS.values() for function in functions}
    assert served == known


async def test_task_that_an_earlier_worker_would_drop_waits_for_the_version(
    redis: Redis,
) -> None:
    await old_heartbeat(redis)
    await negotiate(redis)
    for task, function in (("new", "refresh_files"), ("known", "reconcile")):
        await reconciliation.enqueue_once(redis, Queue.MAINTENANCE, task, function, "")
    assert not await reconciliation.enqueue_once(redis, Queue.MAINTENANCE, "new", "refresh_files", "")
    queue = arq_keys.queue_key(Queue.MAINTENANCE)
    assert await redis.zrange(queue, 0, -1) == [b"known"]
    assert (await negotiate(redis, force=True)).identity.version == LATEST
    assert sorted(await redis.zrange(queue, 0, -1)) == [b"known", b"new"]
    assert await redis.exists(key("postponed")) == 0
