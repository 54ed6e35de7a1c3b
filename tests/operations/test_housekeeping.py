"""What is over goes, files and all; what lives stays, whatever the housekeeping thinks of it."""

import asyncio
import os
import time
from pathlib import Path

from image2model.domain import Preparation
from image2model.jobs import records
from image2model.operations import housekeeping
from image2model.operations.housekeeping import ALL_FILES
from image2model.queue import reconciliation
from image2model.storage import layout
from image2model.store import job_reads
from image2model.store.arq_keys import queue_key
from image2model.store.connection import command
from image2model.store.keys import TAG, Queue, key
from tests.support.fleet import Fleet
from tests.support.served_api import Service
from tests.support.sketches import picture
from tests.support.wait import until

OLD = time.time() - 2 * 86_400
NOBODY = "f" * 32
CUT = Preparation(remove_background="fal-ai/bria/background/remove")


async def expire(fleet: Fleet, job_id: str) -> None:
    """As if the job had ended long ago."""
    await command(fleet.redis, "HSET", key("job", job_id), "expires_at", 1000)
    await command(fleet.redis, "ZADD", key("ended"), 1000, job_id)


async def clean(fleet: Fleet) -> None:
    """Have a worker do it, and wait until it is done."""
    await reconciliation.enqueue_once(fleet.redis, Queue.MAINTENANCE, "cleanup:test", "cleanup", ALL_FILES)
    async with asyncio.timeout(20):
        while await command(fleet.redis, "ZSCORE", queue_key(Queue.MAINTENANCE), "cleanup:test"):
            await asyncio.sleep(0.02)


async def files(fleet: Fleet) -> set[str]:
    return {found.key async for found in fleet.storage.list()}


async def reuse_entries(fleet: Fleet) -> set[str]:
    """What says which image has the result, or the cut-out, of a content."""
    names = [*await command(fleet.redis, "KEYS", key("reuse", "*"))]
    names += await command(fleet.redis, "KEYS", key("cutout", "*"))
    return {name.decode() for name in names}


async def age(folder: Path, name: str) -> None:
    """Make a stored file old."""
    await asyncio.to_thread(os.utime, folder / "files" / name, (OLD, OLD))


async def test_expired_job_goes_with_its_files(fleet: Fleet) -> None:
    fleet.start_worker()
    expired, kept = await fleet.submit(2), await fleet.submit(1)
    await fleet.until_finished(expired)
    done = await fleet.until_finished(kept)
    await expire(fleet, expired)
    await clean(fleet)
    left = await files(fleet)
    assert {name.split("/")[1] for name in left} == {kept}
    assert layout.original(kept, done.images[0].image_id, "png") in left
    assert await command(fleet.redis, "KEYS", f"*{expired}*") == [key("job", expired).encode()]
    assert await command(fleet.redis, "ZRANGE", key("owner_jobs", "ann"), 0, -1) == [kept.encode()]


async def test_expired_job_leaves_nothing_to_reuse(fleet: Fleet) -> None:
    """Else each picture would leave an entry for a month."""
    fleet.start_worker()
    expired = await fleet.submit(2, reuse=True, preparation=CUT, unit_micro=300_000)
    kept = await fleet.submit(1, reuse=True, pictures=[picture(7, (48, 32))])
    await fleet.until_finished(expired)
    await fleet.until_finished(kept)
    before = await reuse_entries(fleet)
    assert {name.removeprefix(TAG).split(":")[0] for name in before} == {"reuse", "cutout"}
    await expire(fleet, expired)
    await clean(fleet)
    (left,) = await reuse_entries(fleet)
    again = await fleet.until_finished(await fleet.submit(1, reuse=True, pictures=[picture(7, (48, 32))]))
    assert left in before
    assert again.images[0].cached


async def test_deleted_job_leaves_nothing_to_reuse_but_what_others_have(fleet: Fleet) -> None:
    leader = await fleet.submit(1, reuse=True, pictures=[picture(7, (48, 32))])
    fleet.start_worker()
    job = await fleet.until_finished(leader)
    other = await fleet.until_finished(await fleet.submit(1, reuse=True, pictures=[picture(7, (48, 32))]))
    assert [one.images[0].cached for one in (job, other)] == [False, True]
    await records.cancel(fleet.redis, leader, delete=True)
    await until(lambda: _is_gone(fleet, leader))
    assert len(await reuse_entries(fleet)) == 1  # the newest success, which is the other job's
    await records.cancel(fleet.redis, other.job_id, delete=True)
    await until(lambda: _is_gone(fleet, other.job_id))
    assert await reuse_entries(fleet) == set()


async def _is_gone(fleet: Fleet, job_id: str) -> bool:
    return not await fleet.redis.exists(key("job", job_id))


async def test_expired_job_is_gone_for_its_owner(service: Service, fleet: Fleet) -> None:
    fleet.start_worker()
    job_id = await fleet.submit(1, owner="local")
    image_id = (await fleet.until_finished(job_id)).images[0].image_id
    await expire(fleet, job_id)
    await clean(fleet)
    for path in (f"status/{job_id}", f"download/{job_id}", f"download/{job_id}/archive.zip"):
        assert (service.get(path).status, service.get(path).code) == (410, "expired")
    assert service.get(f"images/{job_id}/{image_id}/thumbnail").status == 410
    assert service.get("jobs").body["jobs"] == []
    assert service.post(f"jobs/{job_id}/retry").status == 410


async def test_job_that_lives_is_never_erased(fleet: Fleet) -> None:
    """Opened again after it was listed as ended, or not finished at all: both are checked in the store."""
    waiting = await fleet.submit(1)
    await command(fleet.redis, "ZADD", key("ended"), 1000, waiting)
    before = await files(fleet)
    assert await housekeeping.erase_expired(fleet.redis, fleet.storage) == 0
    await command(fleet.redis, "HSET", key("job", waiting), "expires_at", 1000)
    await command(fleet.redis, "ZADD", key("ended"), 1000, waiting)
    assert await housekeeping.erase_expired(fleet.redis, fleet.storage) == 0
    assert await files(fleet) == before
    fleet.start_worker()
    assert (await fleet.until_finished(waiting)).counts.succeeded == 1


async def test_cleanup_that_died_halfway_is_taken_up(fleet: Fleet) -> None:
    fleet.start_worker()
    job_id = await fleet.submit(1)
    await fleet.until_finished(job_id)
    await expire(fleet, job_id)
    await command(fleet.redis, "DEL", key("job", job_id))  # even its head is gone, the files are not
    await clean(fleet)
    assert await files(fleet) == set()
    assert await command(fleet.redis, "ZCARD", key("ended")) == 0


async def test_files_of_nobody_go_once_they_are_old(fleet: Fleet, tmp_path: Path) -> None:
    existing = await fleet.submit(1)
    (image,) = (await job_reads.read_job(fleet.redis, existing)).images
    own = layout.original(existing, image.image_id, "png")
    old = [
        layout.original(NOBODY, NOBODY, "png"),
        *(layout.ResultNames(NOBODY, NOBODY, flat).key("model", "glb") for flat in (True, False)),
    ]
    young = layout.thumbnail("e" * 32, NOBODY)
    stranger = "backups/mine.tar"
    for name in (*old, young, stranger):
        await fleet.storage.put(name, b"x", content_type="image/png")
    for name in (own, *old, stranger):
        await age(tmp_path, name)
    fleet.start_worker(I2M_MAX_CONCURRENT="1")
    await clean(fleet)
    left = await files(fleet)
    assert {own, young, stranger} <= left
    assert not left & set(old)


async def test_upload_under_way_keeps_its_first_pictures(fleet: Fleet, tmp_path: Path) -> None:
    """A slow batch: the first picture came long ago, the latest just now, and there is no job yet."""
    first, latest = layout.original(NOBODY, "a" * 32, "png"), layout.original(NOBODY, "b" * 32, "png")
    for name in (first, latest):
        await fleet.storage.put(name, b"x", content_type="image/png")
    await age(tmp_path, first)
    assert await housekeeping.erase_orphans(fleet.redis, fleet.storage) == 0
    await age(tmp_path, latest)
    assert await housekeeping.erase_orphans(fleet.redis, fleet.storage) == 2


async def test_half_written_leftover_of_a_killed_process_goes(fleet: Fleet, tmp_path: Path) -> None:
    folder = tmp_path / "files" / "originals" / NOBODY
    folder.mkdir(parents=True)
    (folder / "x.png#1").write_bytes(b"half")
    os.utime(folder / "x.png#1", (OLD, OLD))
    fleet.start_worker()
    await clean(fleet)
    assert not folder.exists()


async def test_lists_forget_jobs_whose_ttl_has_ended(fleet: Fleet) -> None:
    fleet.start_worker()
    gone, kept, stranger = await fleet.submit(1), await fleet.submit(1), await fleet.submit(1, owner="bob")
    for job_id in (gone, kept, stranger):
        await fleet.until_finished(job_id)
    await command(fleet.redis, "DEL", key("job", gone), key("job", stranger))
    await command(fleet.redis, "ZADD", key("owner_jobs", "ann"), 1000, gone)
    await command(fleet.redis, "ZADD", key("owner_jobs", "bob"), 1000, stranger)
    await clean(fleet)
    assert await command(fleet.redis, "ZRANGE", key("owner_jobs", "ann"), 0, -1) == [kept.encode()]
    assert await command(fleet.redis, "SMEMBERS", key("owners")) == {b"ann"}
