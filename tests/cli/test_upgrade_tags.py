"""`upgrade --tags` on a store of an earlier release: killed, run again, and what others see meanwhile."""

import asyncio
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from redis.asyncio import Redis

from image2model.store import job_reads
from image2model.store.connection import command, connect
from image2model.store.data_versions import LATEST
from image2model.store.identity import negotiate
from image2model.store.keys import TAG, key
from image2model.store.naming import ROOT
from tests.support import forked
from tests.support.command import Done, environment, run_command
from tests.support.gate import gate_to, nth
from tests.support.jobs import create_job
from tests.support.worker_steps import claim, fail


async def _store_of_an_earlier_release(redis: Redis, redis_url: str) -> str:
    """Two jobs, one of them failed; returns that one."""
    await command(redis, "HSET", ROOT, "id", "0123456789abcdef", "version", LATEST)
    async with connect(redis_url) as client:
        job_id = await create_job(client, 1)
        (one,) = await claim(client, 1)
        await fail(client, one)
        await create_job(client, 300)
    return job_id


async def _names(redis: Redis) -> set[str]:
    return {name.decode() async for name in redis.scan_iter(count=1000)}


@pytest.mark.parametrize("at", [1, 3], ids=["before the first name", "between two"])
async def test_it_is_killed_and_run_again(at: int, redis: Redis, redis_url: str, tmp_path: Path) -> None:
    job_id = await _store_of_an_earlier_release(redis, redis_url)
    before = await _names(redis)

    async def run(*arguments: str) -> Done:
        return await asyncio.to_thread(run_command, *arguments, folder=tmp_path, I2M_REDIS_URL=redis_url)

    async with gate_to(redis_url) as gate:
        hold = gate.hold(nth(at, lambda message: b"RENAME" in message), answer=False)
        settings = environment(I2M_REDIS_URL=f"redis://127.0.0.1:{gate.port}")
        with TemporaryFile() as out:
            process = forked.start(("image2model", "upgrade", "--tags"), settings, out, out, tmp_path)
            async with asyncio.timeout(30):
                await hold.reached.wait()
            process.kill()
            await asyncio.to_thread(process.wait, 30)

    for arguments in (("upgrade",), ("keys", "list"), ("api",)):
        refused = await run(*arguments)
        assert refused.returncode, refused.stdout
        assert "names of the store's keys are being changed" in refused.stderr
        assert "`image2model upgrade --tags`" in refused.stderr
    done = await run("upgrade", "--tags")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("keys renamed: the names of all keys have tags.\n")
    again = await run("upgrade", "--tags")
    assert again.stdout == "0 keys renamed: the names of all keys have tags.\n"

    after = await _names(redis)
    assert {name for name in after if not name.startswith(TAG)} == {ROOT}
    assert len(after) == len(before) + 1
    assert (await run("upgrade")).returncode == 0
    async with connect(redis_url) as client:
        assert (await negotiate(client)).identity.store_id == "0123456789abcdef"
        assert (await job_reads.read_job(client, job_id)).counts.failed == 1
        assert len(await claim(client, 100)) == 100


async def test_it_is_refused_while_a_process_runs_and_changes_nothing(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    await _store_of_an_earlier_release(redis, redis_url)
    async with connect(redis_url) as client:
        await negotiate(client, process="a worker")
        before = await _names(client)
        refused = await asyncio.to_thread(
            run_command, "upgrade", "--tags", folder=tmp_path, I2M_REDIS_URL=redis_url
        )
        assert refused.returncode == 1
        assert "1 processes use the store" in refused.stderr
        assert await _names(client) == before
        assert await client.hget(key("store"), "tagged") is None
