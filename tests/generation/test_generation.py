"""Pictures through a real worker process and the emulator."""

import asyncio
from pathlib import Path

import pytest

from image2model.domain import Counts, ImageStatus
from image2model.events import history
from image2model.events.history import ImageChanged
from image2model.jobs import records
from image2model.media.glb import inspect_glb
from image2model.storage import layout
from image2model.store.keys import key
from tests.support.fleet import Fleet, at_fal, failed_codes
from tests.support.pictures import picture
from tests.support.wait import until

S = ImageStatus


@pytest.mark.long
@pytest.mark.also_on_cluster
async def test_pictures_become_models_of_their_own(fleet: Fleet) -> None:
    fleet.start_worker()
    job_id = await fleet.submit(5)
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=5)
    models = set()
    for image in job.images:
        assert image.result is not None
        assert image.result.mesh is not None
        (model,) = [file for file in image.result.files if file.kind == "model"]
        assert model.key is not None
        data = await fleet.storage.get(model.key)
        assert inspect_glb(data).triangles == image.result.mesh.triangles
        assert len(data) == model.size
        models.add(data)
    assert len(models) == 5
    assert len(fleet.submissions_of(job)) == 5
    assert job.job.cost_micro == 5 * 300_000


async def test_thumbnail_is_kept_ahead_of_a_large_picture_only(fleet: Fleet) -> None:
    fleet.start_worker()
    job_id = await fleet.submit(pictures=[picture("jpeg", (1200, 900)), picture("jpeg", (120, 90))])
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=2), failed_codes(job)
    large, _ = job.images

    async def kept() -> bool:
        return [one.key async for one in fleet.storage.list(layout.THUMBNAILS)] != []

    await until(kept)
    assert [one.key async for one in fleet.storage.list(layout.THUMBNAILS)] == [
        layout.thumbnail(job_id, large.image_id)
    ]


async def test_every_state_is_told_in_order(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=1.5)  # long enough to be asked while it generates
    fleet.start_worker()
    job_id = await fleet.submit(1)
    await fleet.until_finished(job_id)
    told = [
        event.body.image.status
        for event in await history.of_job(fleet.redis, job_id, 0)
        if isinstance(event.body, ImageChanged)
    ]
    states = [status for i, status in enumerate(told) if i == 0 or told[i - 1] is not status]
    assert states == [S.QUEUED, S.PREPARING, S.SUBMITTED, S.GENERATING, S.STORING, S.SUCCEEDED]


async def test_rejected_picture_fails_at_once_with_fals_words(fleet: Fleet) -> None:
    fleet.emulator.fault("422", count=1)
    fleet.start_worker()
    job = await fleet.until_finished(await fleet.submit(1))
    assert failed_codes(job) == ["rejected_by_model"]
    assert len(fleet.submissions_of(job)) == 1


@pytest.mark.long
async def test_unreadable_picture_never_reaches_fal(fleet: Fleet) -> None:
    fleet.start_worker()
    job = await fleet.until_finished(await fleet.submit(pictures=[b"\x89PNG\r\n\x1a\nnonsense"]))
    assert failed_codes(job) == ["image_unreadable"]
    assert fleet.emulator.submissions() == []


@pytest.mark.long
async def test_definite_failure_of_fals_is_tried_again(fleet: Fleet) -> None:
    fleet.emulator.fault("500", count=1)
    fleet.start_worker()
    job = await fleet.until_finished(await fleet.submit(1))
    assert job.counts == Counts(succeeded=1)
    assert job.images[0].attempt == 2
    assert len(fleet.submissions_of(job)) == 2


@pytest.mark.long
async def test_attempts_are_bounded(fleet: Fleet) -> None:
    fleet.emulator.fault("500", rate=1)
    fleet.start_worker(I2M_MAX_ATTEMPTS="2")
    job = await fleet.until_finished(await fleet.submit(1))
    assert failed_codes(job) == ["generation_failed"]
    assert len(fleet.submissions_of(job)) == 2


@pytest.mark.long
async def test_submit_that_fal_refused_is_sent_again_and_counts_once(fleet: Fleet) -> None:
    fleet.emulator.fault("429", count=2)
    fleet.start_worker()
    job = await fleet.until_finished(await fleet.submit(1))
    assert job.counts == Counts(succeeded=1)
    assert (job.images[0].attempt, len(fleet.submissions_of(job))) == (1, 1)


@pytest.mark.long
async def test_model_that_is_cut_at_fal_is_delivered_with_a_warning(fleet: Fleet) -> None:
    fleet.emulator.fault("model_truncated", rate=1)
    fleet.start_worker()
    job = await fleet.until_finished(await fleet.submit(1))
    assert job.counts == Counts(succeeded=1)
    result = job.images[0].result
    assert result is not None
    assert result.mesh is None
    assert [(warning.code, warning.file) for warning in result.warnings] == [("file_not_checked", "model")]


@pytest.mark.long
async def test_mesh_is_found_where_pbr_put_it(fleet: Fleet) -> None:
    fleet.emulator.fault("null_mesh", rate=1)
    fleet.start_worker()
    job = await fleet.until_finished(await fleet.submit(1, pbr=True))
    assert job.counts == Counts(succeeded=1)


@pytest.mark.also_on_cluster
async def test_cancel_stops_what_fal_has(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=60)
    fleet.start_worker(I2M_MAX_CONCURRENT="2")
    job_id = await fleet.submit(4)
    await fleet.until(job_id, lambda job: at_fal(job) == 2)
    assert await records.cancel(fleet.redis, job_id) == (2, 2)
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(cancelled=4)


@pytest.mark.long
async def test_generation_over_its_time_is_cancelled_at_fal(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=60)
    fleet.start_worker(I2M_TASK_TIMEOUT="1")
    job = await fleet.until_finished(await fleet.submit(1))
    assert failed_codes(job) == ["generation_timeout"]
    assert [entry["outcome"] for entry in fleet.submissions_of(job)] == ["cancelled"]


@pytest.mark.also_on_cluster
async def test_deleted_job_leaves_nothing(fleet: Fleet) -> None:
    fleet.start_worker()
    job_id = await fleet.submit(2)
    await records.cancel(fleet.redis, job_id, delete=True)
    async with asyncio.timeout(20):
        while await fleet.redis.exists(key("job", job_id)):
            await asyncio.sleep(0.02)
    assert [found async for found in fleet.storage.list()] == []


async def test_redirect_mode_keeps_no_copy(fleet: Fleet) -> None:
    fleet.start_worker(I2M_RESULTS="redirect")
    job = await fleet.until_finished(await fleet.submit(1))
    result = job.images[0].result
    assert result is not None
    assert result.mesh is None
    assert result.files[0].source_url is not None
    assert result.files[0].key is None


@pytest.mark.long
async def test_results_that_cannot_be_stored_hold_up_no_other(fleet: Fleet, tmp_path: Path) -> None:
    stuck = await fleet.submit(20)
    folder = (tmp_path / "files" / layout.ResultNames(stuck, "image", flat=True).key("model", "glb")).parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file where the job's folder should be")
    fleet.start_worker()
    await fleet.until(stuck, lambda job: job.counts.storing == 20)
    good = await fleet.until_finished(await fleet.submit(1))
    assert good.counts == Counts(succeeded=1)
    assert (await fleet.job(stuck)).counts == Counts(storing=20)
