"""The same picture twice is paid for once."""

import asyncio

import pytest

from image2model.domain import Counts
from image2model.jobs import records
from image2model.store.keys import key
from tests.support.fleet import Fleet
from tests.support.sketches import picture


def twins(count: int) -> list[bytes]:
    """The same picture `count` times."""
    return [picture(7, (48, 32))] * count


async def test_same_picture_later_takes_the_result_for_nothing(fleet: Fleet) -> None:
    fleet.start_worker()
    first = await fleet.until_finished(await fleet.submit(pictures=twins(1), reuse=True))
    second = await fleet.until_finished(await fleet.submit(pictures=twins(1), reuse=True))
    (image,) = second.images
    assert (image.cached, image.cost_micro, second.job.cost_micro) == (True, 0, 0)
    assert fleet.submissions_of(second) == []
    await records.cancel(fleet.redis, first.job_id, delete=True)
    async with asyncio.timeout(20):
        while await fleet.redis.exists(key("job", first.job_id)):
            await asyncio.sleep(0.02)
    assert image.result is not None
    for file in image.result.files:
        assert file.key is not None
        assert len(await fleet.storage.get(file.key)) == file.size


@pytest.mark.long
async def test_other_metadata_reuses_the_result_and_stays_its_jobs_own(fleet: Fleet) -> None:
    fleet.start_worker()
    first = await fleet.until_finished(
        await fleet.submit(pictures=twins(1), reuse=True, metadata={"order": 1})
    )
    second = await fleet.until_finished(
        await fleet.submit(pictures=twins(1), reuse=True, metadata={"order": 2, "sku": "A"})
    )
    assert [job.images[0].cached for job in (first, second)] == [False, True]
    assert first.job.metadata == first.images[0].metadata == {"order": 1}
    assert second.job.metadata == second.images[0].metadata == {"order": 2, "sku": "A"}


async def test_same_pictures_at_once_share_one_run(fleet: Fleet) -> None:
    fleet.start_worker()
    ids = await asyncio.gather(*(fleet.submit(pictures=twins(3), reuse=True) for _ in range(4)))
    done = [await fleet.until_finished(job_id) for job_id in ids]
    assert [job.counts for job in done] == [Counts(succeeded=3)] * 4
    assert sum(len(fleet.submissions_of(job)) for job in done) == 1
    assert sum(not image.cached for job in done for image in job.images) == 1


@pytest.mark.long
async def test_failed_run_is_nobodys_result(fleet: Fleet) -> None:
    fleet.emulator.fault("422", count=1)
    fleet.start_worker()
    job = await fleet.until_finished(await fleet.submit(pictures=twins(3), reuse=True))
    assert job.counts == Counts(succeeded=2, failed=1)
    assert len(fleet.submissions_of(job)) == 2


@pytest.mark.long
async def test_cancelled_leader_hands_over(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=2)
    fleet.start_worker()
    first = await fleet.submit(pictures=twins(1), reuse=True)
    await fleet.until(first, lambda job: job.counts.generating == 1)
    second = await fleet.submit(pictures=twins(1), reuse=True)
    await records.cancel(fleet.redis, first)
    assert (await fleet.until_finished(second)).counts == Counts(succeeded=1)


@pytest.mark.long
async def test_other_parameters_are_another_run(fleet: Fleet) -> None:
    fleet.start_worker()
    await fleet.until_finished(await fleet.submit(pictures=twins(1), reuse=True))
    job = await fleet.until_finished(await fleet.submit(pictures=twins(1), reuse=True, texture="HD"))
    assert not job.images[0].cached
