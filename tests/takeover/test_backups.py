"""A backup of an earlier release is restored by this one into an empty store, whose names have tags."""

import asyncio
import signal
from pathlib import Path

import pytest
from redis import Redis as SyncRedis

from image2model.domain import Counts
from image2model.store import job_reads
from image2model.store.connection import connect
from image2model.store.keys import TAG, key
from image2model.store.naming import ROOT
from image2model.up.store import EmbeddedStore
from tests.support.command import Done, run_command
from tests.support.fleet import fleet_on
from tests.support.keys import keys_without_ttl
from tests.support.ports import free_port
from tests.support.served_api import Service, batch
from tests.support.servers import Address
from tests.takeover.revision import VERSION_4, VERSION_5, sources_of

_HOST = "127.0.0.1"


@pytest.mark.long
@pytest.mark.parametrize("revision", [VERSION_4, VERSION_5], ids=["version 4", "version 5"])
async def test_backup_of_an_earlier_release_is_restored(
    revision: str, redis_url: str, own_store: EmbeddedStore, tmp_path: Path
) -> None:
    old = {"PYTHONPATH": str(sources_of(revision, tmp_path / "old"))}
    files = tmp_path / "files"

    async def run(url: str, folder: Path, *arguments: str, **more: str) -> Done:
        given = {"I2M_REDIS_URL": url, "I2M_STORAGE_URL": folder.as_uri(), **more}
        return await asyncio.to_thread(run_command, *arguments, folder=tmp_path, **given)

    async with fleet_on(redis_url, tmp_path) as fleet:
        worker, port = fleet.start_worker(**old), free_port(_HOST)
        api = await fleet.start_api(port, **old)
        service = Service(Address(_HOST, port), files)
        job_id = (await asyncio.to_thread(service.upload, batch(2))).text("job_id")
        await fleet.until_finished(job_id)
        before = await fleet.job(job_id)
        for process in (api, worker):
            process.send(signal.SIGTERM)
            await process.exit_code()
        assert [name async for name in fleet.redis.scan_iter(TAG + "*")] == []
    made = await run(redis_url, files, "backup", "b.zip", **old)
    assert made.returncode == 0, made.stderr
    restored = await run(own_store.url, tmp_path / "elsewhere", "restore", "b.zip")
    assert restored.returncode == 0, restored.stderr

    async with connect(own_store.url) as redis:
        after = await job_reads.read_job(redis, job_id)
        assert after.counts == Counts(succeeded=2)
        assert after.images == before.images
        names = {name.decode() async for name in redis.scan_iter(count=1000)}
        assert {name for name in names if not name.startswith(TAG)} == {ROOT}
        assert key("job", job_id) in names
        assert await keys_without_ttl(redis) == []
    with SyncRedis.from_url(own_store.url) as raw:
        assert raw.hget(ROOT, "tagged") == b"1"
