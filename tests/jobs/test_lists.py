"""The entries of a job in its owner's lists go with the job, wherever the process that removes it dies."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from image2model.jobs import lists, records
from image2model.jobs.lifecycle import erase_if_deleted
from image2model.operations import housekeeping
from image2model.storage.address import open_storage
from image2model.storage.objects import ObjectStorage
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.scripts import Script
from tests.support.fixtures import MakeJob

CELL_STEP_OF_A_DELETION = Script("jobs/cancel_job")
CELL_STEP_OF_AN_EXPIRY = Script("operations/erase_expired")


async def entries(redis: Redis) -> tuple[int, int]:
    """How many entries the list of jobs and the index have."""
    jobs = await command(redis, "ZCARD", key("owner_jobs", "ann"))
    return int(jobs), int(await command(redis, "ZCARD", key("owner_metadata", "ann")))


@pytest.fixture
def storage(tmp_path: Path) -> ObjectStorage:
    return open_storage((tmp_path / "files").as_uri())


async def test_deletion_that_died_after_its_first_step_is_completed(
    redis: Redis, make_job: MakeJob, storage: ObjectStorage
) -> None:
    job = await make_job(1, metadata={"sku": "A"})
    await CELL_STEP_OF_A_DELETION.packed(redis, job.job_id, True, False)
    assert await entries(redis) == (1, 1)
    assert await erase_if_deleted(redis, storage, job.job_id)
    assert await entries(redis) == (0, 0)


async def test_erasure_that_died_before_its_last_step_is_completed(
    redis: Redis, make_job: MakeJob, storage: ObjectStorage
) -> None:
    job = await make_job(1, metadata={"sku": "A"})
    await records.cancel(redis, job.job_id, delete=True)
    await lists.unlist(redis, job.job_id)
    assert await entries(redis) == (0, 0)
    assert await erase_if_deleted(redis, storage, job.job_id)
    assert not await redis.exists(key("job", job.job_id))


async def test_expiry_that_died_after_its_first_step_is_completed(
    redis: Redis, make_job: MakeJob, storage: ObjectStorage
) -> None:
    job = await make_job(1, metadata={"sku": "A"})
    await records.cancel(redis, job.job_id)
    await command(redis, "HSET", key("job", job.job_id), "expires_at", "1000")
    await command(redis, "ZADD", key("ended"), 1000, job.job_id)
    assert await CELL_STEP_OF_AN_EXPIRY(redis, job.job_id) == 1
    assert await entries(redis) == (1, 1)
    assert await housekeeping.erase_expired(redis, storage) == 1
    assert await entries(redis) == (0, 0)
    assert await redis.zcard(key("ended")) == 0
