"""A backup, an empty server, a restore: everything is back, and nothing is bought again."""

import asyncio
import gzip
import json
import stat
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from redis.asyncio import Redis

from image2model.domain import ImageStatus
from image2model.jobs import records
from image2model.operations import backup
from image2model.operations.restore import BackupUnusable, StoreNotEmpty, restore
from image2model.storage.address import open_storage
from image2model.storage.objects import ObjectStorage
from image2model.store import job_reads, secret
from image2model.store.arq_keys import job_key, queue_key
from image2model.store.connection import command, connect
from image2model.store.data_versions import LATEST
from image2model.store.identity import negotiate
from image2model.store.keys import Queue, key
from image2model.store.records import JobSnapshot
from image2model.up.store import EmbeddedStore
from tests.support.command import Done, run_command
from tests.support.fleet import Fleet
from tests.support.keys import keys_without_ttl
from tests.support.served_api import MakeService, Service
from tests.support.wait import until


class Elsewhere:
    """An empty server and an empty folder."""

    def __init__(self, redis: Redis, url: str, storage: ObjectStorage, folder: Path) -> None:
        self.redis, self.url, self.storage, self.folder = redis, url, storage, folder


@asynccontextmanager
async def empty_server() -> AsyncIterator[Elsewhere]:
    with TemporaryDirectory(prefix="i2m-") as folder:
        server = EmbeddedStore(Path(folder, "store"), durable=False)
        server.start()
        try:
            async with connect(server.url) as redis:
                files = Path(folder, "files")
                yield Elsewhere(redis, server.url, open_storage(files.as_uri()), files)
        finally:
            server.stop()


@pytest.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    async with empty_server() as server:
        yield server
        assert await keys_without_ttl(server.redis) == []


async def test_jobs_results_and_downloads_are_back_and_nothing_is_sent_again(
    fleet: Fleet, elsewhere: Elsewhere, make_service: MakeService, tmp_path: Path
) -> None:
    fleet.start_worker()
    done = await fleet.submit(3, owner="local", metadata={"sku": "A-1"})
    running = await fleet.submit(2, owner="local")
    before = await fleet.until_finished(done)
    running_before = await fleet.until_finished(running)
    await _unfinish(fleet, running_before.images[0].image_id, running)
    contents = await backup.make(fleet.redis, fleet.storage, tmp_path / "b.zip")
    assert (contents.jobs, contents.images) == (2, 5)
    bought = len(fleet.emulator.submissions())

    back = await restore(elsewhere.redis, elsewhere.storage, tmp_path / "b.zip")
    assert (back.jobs, back.images, back.unconfirmed) == (2, 5, 1)
    assert (await job_reads.read_job(elsewhere.redis, done)).images == before.images
    service = make_service(redis_url=elsewhere.url, storage_url=elsewhere.folder.as_uri())
    assert [job["job_id"] for job in service.get("jobs").items("jobs")] == [running, done]
    assert [job["metadata"] for job in service.get("jobs?metadata.sku=A-1").items("jobs")] == [{"sku": "A-1"}]
    for image in before.images:
        answer = _followed(service, f"download/{done}/{image.image_id}")
        assert answer == await fleet.storage.get(image.result.files[0].key or "")  # type: ignore[union-attr]
    fleet.start_worker(I2M_REDIS_URL=elsewhere.url, I2M_STORAGE_URL=elsewhere.folder.as_uri())
    await until(lambda: _reconciled(elsewhere.redis))
    lost = (await job_reads.read_job(elsewhere.redis, running)).images[0]
    assert lost.status is ImageStatus.FAILED
    assert lost.error is not None
    assert (lost.error.code, lost.error.retryable) == ("submission_unconfirmed", True)
    assert len(fleet.emulator.submissions()) == bought


async def _unfinish(fleet: Fleet, image_id: str, job_id: str) -> None:
    """As if the backup had been made while this image waited in the queue."""
    await command(fleet.redis, "HSET", key("image", image_id), "status", "queued", "request_id", "")
    await command(fleet.redis, "HDEL", key("image", image_id), "finished_at", "result", "cost_micro")
    await command(fleet.redis, "HINCRBY", key("job", job_id), "n_succeeded", -1)
    await command(fleet.redis, "HINCRBY", key("job", job_id), "n_queued", 1)
    await command(fleet.redis, "HSET", key("job", job_id), "finished_at", "", "expires_at", "")


def _followed(service: Service, path: str) -> bytes:
    return service.get(service.get(path).headers["location"]).content


async def _reconciled(redis: Redis) -> bool:
    """A worker has started and looked after the store once."""
    workers = await command(redis, "ZCARD", key("workers"))
    waiting = await command(redis, "ZCOUNT", queue_key(Queue.MAINTENANCE), "-inf", "1000000")
    return bool(workers) and not waiting


@pytest.mark.long
async def test_earlier_release_finds_all_results_or_refuses_the_backup(
    fleet: Fleet, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    """Its clean-up and its backup know no other names of results; it reads backups of format 1."""
    await command(fleet.redis, "ZADD", key("readers"), int(time.time() * 1000) + 60_000, "5 earlier")
    await command(fleet.redis, "HSET", key("store"), "version", 5, "id", "5")
    fleet.start_worker()
    old = await fleet.until_finished(await fleet.submit(1))
    assert _results(old) == {f"results/{old.job_id}/{old.images[0].image_id}/model.glb"}
    assert (await backup.make(fleet.redis, fleet.storage, tmp_path / "1.zip")).format == 1

    await command(fleet.redis, "ZREM", key("readers"), "5 earlier")
    async with asyncio.timeout(30):
        while (await negotiate(fleet.redis)).identity.version < LATEST:
            await asyncio.sleep(0.2)
    new = await fleet.until_finished(await fleet.submit(1))
    assert _results(new) == {f"results/{new.job_id}/{new.images[0].image_id}.model.glb"}
    assert (await backup.make(fleet.redis, fleet.storage, tmp_path / "2.zip")).format == 2
    await restore(elsewhere.redis, elsewhere.storage, tmp_path / "2.zip")
    for name in _results(old) | _results(new):
        assert await elsewhere.storage.get(name) == await fleet.storage.get(name)


def _results(job: JobSnapshot) -> set[str]:
    result = job.images[0].result
    assert result is not None
    return {file.key for file in result.files if file.kind == "model" and file.key is not None}


@pytest.mark.long
async def test_restore_queues_nothing_at_all(fleet: Fleet, elsewhere: Elsewhere, tmp_path: Path) -> None:
    waiting = await fleet.submit(3)
    await backup.make(fleet.redis, fleet.storage, tmp_path / "b.zip")
    back = await restore(elsewhere.redis, elsewhere.storage, tmp_path / "b.zip")
    assert back.unconfirmed == 3
    for queue in Queue:
        assert await command(elsewhere.redis, "ZCARD", queue_key(queue)) == 0
    assert await command(elsewhere.redis, "KEYS", job_key("*")) == []
    job = await job_reads.read_job(elsewhere.redis, waiting)
    assert (job.counts.failed, job.job.finished_at is not None) == (3, True)
    assert await records.retry(elsewhere.redis, waiting, None, None, low_priority=False) != []


@pytest.mark.long
@pytest.mark.also_on_cluster
async def test_retry_after_a_restore_runs_what_was_unfinished(
    fleet: Fleet, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    waiting = await fleet.submit(2)
    await backup.make(fleet.redis, fleet.storage, tmp_path / "b.zip")
    await restore(elsewhere.redis, elsewhere.storage, tmp_path / "b.zip")
    await records.retry(elsewhere.redis, waiting, None, None, low_priority=False)
    fleet.start_worker(I2M_REDIS_URL=elsewhere.url, I2M_STORAGE_URL=elsewhere.folder.as_uri())

    async def succeeded() -> bool:
        return (await job_reads.read_job(elsewhere.redis, waiting)).counts.succeeded == 2

    await until(succeeded)


@pytest.mark.long
async def test_secret_history_and_idempotency_come_back(
    fleet: Fleet, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    fleet.start_worker()
    job_id = await fleet.submit(1)
    await fleet.until_finished(job_id)
    signing = await secret.signing(fleet.redis)
    await secret.signing(elsewhere.redis)  # an API that has started there has made its own
    await command(fleet.redis, "SET", key("idempotency", "ann", "a:b c"), "x", "PX", 60_000)
    history = await command(fleet.redis, "XRANGE", key("job_events", job_id), "-", "+")
    owner = await command(fleet.redis, "XRANGE", key("owner_events", "ann"), "-", "+")
    await backup.make(fleet.redis, None, tmp_path / "b.zip")
    await restore(elsewhere.redis, elsewhere.storage, tmp_path / "b.zip")
    assert await secret.signing(elsewhere.redis) == signing
    assert await command(elsewhere.redis, "GET", key("idempotency", "ann", "a:b c")) == b"x"
    assert await command(elsewhere.redis, "XRANGE", key("job_events", job_id), "-", "+") == history
    assert await command(elsewhere.redis, "XRANGE", key("owner_events", "ann"), "-", "+") == owner
    ends = await command(elsewhere.redis, "ZSCORE", key("ended"), job_id)
    stated = await command(elsewhere.redis, "HGET", key("job", job_id), "expires_at")
    assert float(ends) == float(stated)


@pytest.mark.long
async def test_nothing_stays_reserved_for_what_was_unfinished(
    fleet: Fleet, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    await fleet.submit(2)
    held = await command(fleet.redis, "HMGET", key("account", "ann"), "unfinished", "reserved")
    assert held[0] == b"2"
    await backup.make(fleet.redis, None, tmp_path / "b.zip")
    await restore(elsewhere.redis, elsewhere.storage, tmp_path / "b.zip")
    left = await command(elsewhere.redis, "HMGET", key("account", "ann"), "unfinished", "reserved")
    assert left == [b"0", b"0"]


async def test_restore_refuses_a_server_that_has_something(fleet: Fleet, tmp_path: Path) -> None:
    await fleet.submit(1)
    await backup.make(fleet.redis, fleet.storage, tmp_path / "b.zip")
    before = await fleet.redis.dbsize()
    with pytest.raises(StoreNotEmpty):
        await restore(fleet.redis, fleet.storage, tmp_path / "b.zip")
    assert await fleet.redis.dbsize() == before


async def test_damaged_backup_changes_nothing(fleet: Fleet, elsewhere: Elsewhere, tmp_path: Path) -> None:
    await fleet.submit(2)
    await backup.make(fleet.redis, fleet.storage, tmp_path / "b.zip")
    whole = (tmp_path / "b.zip").read_bytes()
    (tmp_path / "short.zip").write_bytes(whole[:-100])
    flipped = bytearray(whole)
    flipped[120] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(bytes(flipped))
    (tmp_path / "other.zip").write_bytes(b"nothing of the kind")
    _rewritten(tmp_path / "b.zip", tmp_path / "fewer.zip", change=lambda data: data[: len(data) // 2])
    for name in ("short.zip", "flipped.zip", "other.zip", "fewer.zip"):
        with pytest.raises(BackupUnusable):
            await restore(elsewhere.redis, elsewhere.storage, tmp_path / name)
    assert await elsewhere.redis.dbsize() == 0
    assert not [found async for found in elsewhere.storage.list()]


def _rewritten(source: Path, target: Path, *, change: Any) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, gzip.compress(change(gzip.decompress(data))) if name.endswith(".gz") else data)


async def test_archive_is_private_and_whole_or_not_there(fleet: Fleet, tmp_path: Path) -> None:
    await fleet.submit(1)
    await backup.make(fleet.redis, fleet.storage, tmp_path / "b.zip")
    assert stat.S_IMODE((tmp_path / "b.zip").stat().st_mode) == 0o600
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert archive.testzip() is None
    with pytest.raises(OSError, match="missing"):
        await backup.make(fleet.redis, fleet.storage, tmp_path / "missing" / "b.zip")
    assert sorted(path.name for path in tmp_path.glob("*b.zip*")) == ["b.zip"]


@pytest.mark.also_on_cluster
async def test_commands_back_up_and_restore(fleet: Fleet, elsewhere: Elsewhere, tmp_path: Path) -> None:
    fleet.start_worker()
    job_id = await fleet.submit(1)
    await fleet.until_finished(job_id)

    def run(redis_url: str, files: Path, *arguments: str) -> Done:
        given = {"I2M_REDIS_URL": redis_url, "I2M_STORAGE_URL": files.as_uri()}
        return run_command(*arguments, folder=tmp_path, **given)

    here = (fleet.redis_url, tmp_path / "files")
    made = run(*here, "backup", "b.zip", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["files"] >= 3
    refused = run(*here, "restore", "b.zip")
    assert (refused.returncode, "empty" in refused.stderr) == (1, True)
    restored = run(elsewhere.url, elsewhere.folder, "restore", "b.zip")
    assert restored.returncode == 0, restored.stderr
    assert "1 jobs, 1 images" in restored.stdout
    assert (await job_reads.read_job(elsewhere.redis, job_id)).counts.succeeded == 1
