"""The names of a store's keys have tags, or those of a store that an earlier release made: never both."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from image2model.store import job_reads
from image2model.store.connection import StoreOutage, StoreRefusal, command, connect
from image2model.store.data_versions import LATEST
from image2model.store.identity import StoreWatch, negotiate
from image2model.store.keys import TAG, key
from image2model.store.naming import BEYOND_PLAIN, ROOT, naming_of
from image2model.store.tagging import TagsRefused, add_tags
from tests.support.command import run_command
from tests.support.gate import gate_to, nth
from tests.support.jobs import create_job, make_job
from tests.support.worker_steps import claim, fail
from tests.takeover.revision import VERSION_4, VERSION_5, sources_of

OLD_NEGOTIATION = """
import asyncio, sys
from image2model.store.connection import connect
from image2model.store.identity import negotiate
async def main():
    async with connect(sys.argv[1]) as redis:
        print((await negotiate(redis, process="old")).identity.version)
asyncio.run(main())
"""


async def names(redis: Redis) -> set[str]:
    """Of all keys, as the store has them."""
    return {name.decode() async for name in redis.scan_iter(count=1000)}


def is_plain(name: str) -> bool:
    return name.startswith(("i2m:", "arq:"))


async def begin_plain(redis: Redis) -> None:
    """As the release before leaves a store."""
    await command(redis, "HSET", ROOT, "id", "0123456789abcdef", "version", LATEST)


async def live(redis: Redis) -> str:
    """One image that fails, another one that is claimed, and one that waits; returns the job."""
    job_id = await create_job(redis, 3)
    one, _ = await claim(redis, 2)
    await fail(redis, one)
    return job_id


async def test_every_key_of_a_new_store_has_the_tag(redis: Redis) -> None:
    await negotiate(redis, process="one")
    await live(redis)
    assert {name for name in await names(redis) if not name.startswith(TAG)} == {ROOT}


async def test_store_of_an_earlier_release_keeps_its_names(redis: Redis, redis_url: str) -> None:
    await begin_plain(redis)
    async with connect(redis_url) as client:
        await negotiate(client, process="one")
        job_id = await live(client)
        assert all(map(is_plain, await names(redis)))
        assert {f"i2m:job:{job_id}", "arq:queue:model_generation", "i2m:readers"} < await names(redis)
        # a command, a pipeline, a transaction and a script agree
        pipe = client.pipeline(transaction=True)
        pipe.hget(key("job", job_id), "owner")
        assert (
            await pipe.execute() == [await command(client, "HGET", key("job", job_id), "owner")] == [b"ann"]
        )
        assert (await job_reads.read_job(client, job_id)).counts.failed == 1


@pytest.mark.parametrize("trace", ["workers", "signing_secret", "ended"])
async def test_store_of_the_first_release_is_known_by_what_it_left(redis_url: str, trace: str) -> None:
    async with connect(redis_url) as raw:
        await command(raw, "SET", key(trace).plain, "x", "PX", 60_000)
    async with connect(redis_url) as client:  # as an operator's command does, before any process has looked
        await command(client, "SET", key("lock", "mine"), "x", "PX", 60_000)
        assert await names(client) == {key(trace).plain, "i2m:lock:mine"}


@pytest.mark.parametrize("revision", [VERSION_4, VERSION_5])
async def test_earlier_release_refuses_a_store_whose_names_have_tags(
    revision: str, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    await negotiate(redis)
    before = await names(redis)
    old = {"PYTHONPATH": str(sources_of(revision, tmp_path / "old"))}
    done = subprocess.run(
        [sys.executable, "-c", OLD_NEGOTIATION, redis_url],
        env=old,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ConfigurationError" in done.stderr, done
    assert await names(redis) - before <= {"i2m:readers"}


async def test_commands_that_come_first_give_a_new_store_its_names(redis: Redis, redis_url: str) -> None:
    """Else an earlier release that comes next would begin it with plain names, beside what they wrote."""
    made = await asyncio.to_thread(run_command, "keys", "create", "--name", "ci", I2M_REDIS_URL=redis_url)
    assert made.returncode == 0, made.stderr
    assert (await redis.hgetall(ROOT))[b"tagged"] == b"1"
    assert {name for name in await names(redis) if not name.startswith(TAG)} == {ROOT}


async def test_emptied_store_keeps_the_names_of_its_processes(redis: Redis, redis_url: str) -> None:
    await begin_plain(redis)
    async with connect(redis_url) as client:
        watch = StoreWatch(client, "one")
        first = await watch.refresh()
        await redis.flushdb()
        assert (await watch.refresh()).store_id != first.store_id
        await make_job(client, 1)
        assert all(map(is_plain, await names(redis)))
    await redis.flushdb()
    await negotiate(redis)
    await redis.flushdb()
    await negotiate(redis)
    assert await names(redis) == {ROOT, key("store")}


async def test_of_two_processes_that_begin_an_emptied_store_one_follows_the_other(
    redis: Redis, redis_url: str
) -> None:
    """One knew it with plain names, and a new one comes at that moment."""
    await begin_plain(redis)
    async with connect(redis_url) as old, connect(redis_url) as new:
        watch = StoreWatch(old, "old")
        await watch.refresh()
        await redis.flushdb()
        await negotiate(new, process="new")
        with pytest.raises(StoreRefusal, match="have tags"):
            await make_job(old, 1)
        assert await watch.refresh() == (await negotiate(new)).identity
        await make_job(old, 1)
        assert [name for name in await names(redis) if is_plain(name)] == [ROOT]

        await redis.flushdb()
        await begin_plain(redis)
        await negotiate(new)
        assert not naming_of(new).tagged


@asynccontextmanager
async def tagging_that_dies(url: str, at: int) -> AsyncIterator[None]:
    """`upgrade --tags`, whose process dies before it renames for the so manieth time."""
    async with gate_to(url) as gate, connect(f"redis://127.0.0.1:{gate.port}") as client:
        hold = gate.hold(nth(at, lambda message: b"RENAME" in message), answer=False)
        tagging = asyncio.create_task(add_tags(client))
        async with asyncio.timeout(30):
            await hold.reached.wait()
        tagging.cancel()
        await asyncio.wait([tagging])
        yield


@pytest.mark.parametrize("at", [1, 2, 6])
async def test_names_get_tags_though_it_is_killed_midway(redis: Redis, redis_url: str, at: int) -> None:
    await begin_plain(redis)
    async with connect(redis_url) as client:
        await negotiate(client)
        job_id = await live(client)
        await create_job(client, 400)
        await command(client, "SET", "arq:job:stranger", "x", "PX", 60_000)  # of another service with ARQ
        before = await names(client)
        job, ttl = await job_reads.read_job(client, job_id), await client.pttl(key("job", job_id))
    async with tagging_that_dies(redis_url, at), connect(redis_url) as other:
        with pytest.raises(StoreOutage, match="upgrade --tags"):
            await command(other, "HGETALL", key("job", job_id))
    async with connect(redis_url) as client:
        assert await add_tags(client) > 0
    async with connect(redis_url) as client:
        await negotiate(client)
        after = await names(client)
        assert {name for name in after if not name.startswith(TAG)} == {ROOT, "arq:job:stranger"}
        assert len(after) == len(before) + 1
        assert await client.hgetall(ROOT) == {b"version": str(BEYOND_PLAIN).encode(), b"tagged": b"1"}
        assert ttl - 60_000 < await client.pttl(key("job", job_id)) <= ttl
        assert await job_reads.read_job(client, job_id) == job
        assert len(await claim(client, 1)) == 1
        assert await add_tags(client) == 0


async def test_names_stay_while_a_process_runs(redis: Redis, redis_url: str) -> None:
    await begin_plain(redis)
    async with connect(redis_url) as client:
        await negotiate(client, process="one")
        with pytest.raises(TagsRefused, match="1 processes"):
            await add_tags(client)
        await create_job(client)
        assert all(map(is_plain, await names(client)))
