"""What a second step leaves in store and storage: through a backup, a scan for orphans, an older release."""

import os
from pathlib import Path

import pytest
from redis.asyncio import Redis

from image2model.jobs import lifecycle, records
from image2model.operations import backup
from image2model.operations.housekeeping import erase_orphans
from image2model.operations.restore import restore
from image2model.storage.address import open_storage
from image2model.store import job_reads
from image2model.store.connection import connect
from image2model.store.data_versions import LATEST
from image2model.store.keys import key
from image2model.up.store import EmbeddedStore
from tests.derive.conftest import World, first
from tests.derive.steps import TOPOLOGY, TRELLIS, body, derive, model_of, parent, stored_for
from tests.support.keys import keys_without_ttl
from tests.support.served_api import MakeService, batch
from tests.support.wait import until


@pytest.mark.long
async def test_step_that_waits_is_run_after_a_restore_with_its_own_copy(
    world: World, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await world.start_worker()
    ann = world.caller()
    made = await world.ended(ann, ann.upload(batch(1)))
    assert world.admin.post("admin/queues/model_generation/pause").status == 200
    child = derive(ann, first(made), body(TRELLIS)).text("job_id")
    model = model_of(world.service, child)
    redis, storage = world.fleet.redis, world.fleet.storage
    before = await job_reads.read_job(redis, child)
    await backup.make(redis, storage, tmp_path / "b.zip")
    folder = tmp_path_factory.mktemp("elsewhere")
    server = EmbeddedStore(folder / "store", durable=False)
    server.start()
    try:
        async with connect(server.url) as other:
            files = open_storage((folder / "files").as_uri())
            await restore(other, files, tmp_path / "b.zip")
            after = await job_reads.read_job(other, child)
            assert after.images[0].parent_image_id == before.images[0].parent_image_id
            assert after.images[0].parent_job_id == made["job_id"]
            copies = [one.key async for one in files.list("originals") if "-model." in one.key]
            assert [await files.get(one) for one in copies] == [model]
            world.fleet.start_worker(
                **{
                    **world.settings,
                    "I2M_REDIS_URL": server.url,
                    "I2M_STORAGE_URL": (folder / "files").as_uri(),
                }
            )
            await records.retry(other, child, None, None, low_priority=False)

            async def succeeded() -> bool:
                return (await job_reads.read_job(other, child)).counts.succeeded == 1

            await until(succeeded, timeout=60)
            (bought,) = [one for one in world.fleet.emulator.submissions() if one["endpoint"] == TRELLIS]
            assert world.sent(bought["input"]["mesh_url"]) == model
            assert await keys_without_ttl(other) == []
            await world.fleet.workers[-1].end()
    finally:
        server.stop()


async def test_scan_for_orphans_spares_a_step_that_is_just_being_made(
    make_service: MakeService, redis: Redis
) -> None:
    """The copy of the model has the time of the parent's file; the picture's is new."""
    service = make_service(models="*")
    one = await parent(service, redis)
    for path in stored_for(service, one[0]):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    child = derive(service, one, body(TOPOLOGY)).text("job_id")
    storage = open_storage(service.files.as_uri())
    files = stored_for(service, child)
    assert len(files) == 2
    await redis.rename(key("job", child), "kept")  # as before the script made it
    assert await erase_orphans(redis, storage) == 0
    await redis.rename("kept", key("job", child))
    assert stored_for(service, child) == files
    assert await erase_orphans(redis, storage, older_than_s=-60) == 0


async def test_deleted_step_takes_its_own_files_only(make_service: MakeService, redis: Redis) -> None:
    service = make_service(models="*")
    one = await parent(service, redis)
    before = service.stored()
    child = derive(service, one, body(TOPOLOGY)).text("job_id")
    assert service.post(f"jobs/{child}/cancel").status == 202
    assert service.send("DELETE", f"/api/v1/jobs/{child}").status == 204
    assert await lifecycle.erase_if_deleted(redis, open_storage(service.files.as_uri()), child)
    assert service.stored() == before


async def test_step_waits_until_no_process_of_the_release_before_is_left(
    make_service: MakeService, redis: Redis
) -> None:
    service = make_service(models="*")
    one = await parent(service, redis)
    before = service.stored()
    await redis.hset(key("store"), "version", "3")
    answer = derive(service, one, body(TOPOLOGY))
    assert (answer.status, answer.code) == (503, "store_unavailable")
    assert "release before" in answer.text("detail")
    assert service.stored() == before
    await redis.hset(key("store"), "version", str(LATEST))
    assert derive(service, one, body(TOPOLOGY)).status == 202
