"""Files that were missing when an image succeeded come later, and the change is told like any other."""

from typing import Any

import pytest

from image2model.domain import ImageResult
from image2model.errors import NotFound, NotReady
from image2model.events import history
from image2model.events.history import ImageChanged, JobCompleted
from image2model.generation import stored_results
from image2model.generation.stored_results import Replaced
from image2model.jobs import lifecycle
from image2model.store.arq_keys import queue_key
from image2model.store.records import JobSnapshot
from tests.support.altered_fal import AlteredFal, failing
from tests.support.fleet import Fleet
from tests.support.glb import glb
from tests.support.wait import until


async def succeeded(fleet: Fleet, fal: AlteredFal, alter: Any) -> JobSnapshot:
    """A job whose one image has succeeded with this result."""
    fal.result = alter
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url, I2M_UNCONFIRMED_GRACE="1")
    job = await fleet.until_finished(await fleet.submit(1))
    assert job.counts.succeeded == 1
    return job


async def refresh(fleet: Fleet, job: JobSnapshot) -> None:
    await lifecycle.refresh_files(fleet.redis, "ann", job.job_id, job.images[0].image_id)


def result_of(job: JobSnapshot) -> ImageResult:
    assert job.images[0].result is not None
    return job.images[0].result


async def test_missing_preview_comes_later_with_an_image_and_a_complete_event(
    fleet: Fleet, fal: AlteredFal
) -> None:
    url = fal.serve("p.png", failing(404))
    job = await succeeded(fleet, fal, lambda result: {**result, "rendered_image": {"url": url}})
    fal.serve("p.png", b"\x89PNG late")
    await refresh(fleet, job)
    after = await fleet.until(job.job_id, lambda now: now.version >= job.version + 2)
    result = result_of(after)
    assert (result.warnings, result.missing) == ((), ())
    (preview,) = [file for file in result.files if file.kind == "preview"]
    assert preview.key is not None
    assert await fleet.storage.get(preview.key) == b"\x89PNG late"
    told = await history.of_job(fleet.redis, job.job_id, job.version)
    assert [type(event.body) for event in told] == [ImageChanged, JobCompleted]
    assert after.job.cost_micro == job.job.cost_micro
    assert len(fleet.submissions_of(after)) == 1


@pytest.mark.long
async def test_refresh_again_changes_nothing(fleet: Fleet, fal: AlteredFal) -> None:
    url = fal.serve("p.png", failing(404))
    job = await succeeded(fleet, fal, lambda result: {**result, "rendered_image": {"url": url}})
    asked = fal.fetched("p.png")
    await refresh(fleet, job)
    await refresh(fleet, job)
    await until(lambda: _fetched(fal, asked + 2))
    await until(lambda: _is_idle(fleet, job))
    assert (await fleet.job(job.job_id)).version == job.version
    fal.serve("p.png", b"now")
    await refresh(fleet, job)
    after = await fleet.until(job.job_id, lambda now: now.version >= job.version + 2)
    asked = fal.fetched("p.png")
    await refresh(fleet, after)
    assert (await fleet.job(job.job_id)).version == after.version
    assert fal.fetched("p.png") == asked


@pytest.mark.long
async def test_better_model_takes_its_place_later(fleet: Fleet, fal: AlteredFal) -> None:
    better, base = fal.serve("pbr.glb", failing(404)), fal.serve("base.glb", glb())
    job = await succeeded(fleet, fal, lambda _: {"pbr_model": {"url": better}, "base_model": {"url": base}})
    fine = glb() + bytes(4)
    fal.serve("pbr.glb", fine)
    await refresh(fleet, job)
    after = await fleet.until(job.job_id, lambda now: now.version >= job.version + 2)
    result = result_of(after)
    assert [file.kind for file in result.files] == ["model", "base"]
    assert [await fleet.storage.get(file.key or "") for file in result.files] == [fine, glb()]
    assert [one.code.value for one in result.warnings] == ["file_not_checked"]
    assert result.missing == ()


async def test_only_a_succeeded_image_of_ones_own_can_be_refreshed(fleet: Fleet) -> None:
    job = await fleet.job(await fleet.submit(1))
    image_id = job.images[0].image_id
    with pytest.raises(NotReady):
        await lifecycle.refresh_files(fleet.redis, "ann", job.job_id, image_id)
    with pytest.raises(NotFound):
        await lifecycle.refresh_files(fleet.redis, "ann", job.job_id, "f" * 32)
    with pytest.raises(NotFound):
        await lifecycle.refresh_files(fleet.redis, "bob", job.job_id, image_id)


@pytest.mark.long
async def test_result_that_changed_meanwhile_is_not_written_over(fleet: Fleet) -> None:
    fleet.start_worker()
    job = await fleet.until_finished(await fleet.submit(1))
    image_id = job.images[0].image_id
    text = await stored_results.result_text(fleet.redis, image_id)
    worse = ImageResult(files=())
    assert (
        await stored_results.replace_result(fleet.redis, image_id, f"{text} ", worse)
        is Replaced.CHANGED_MEANWHILE
    )
    assert await stored_results.replace_result(fleet.redis, "nobody", text, worse) is Replaced.GONE
    same = stored_results.result_from(text)
    assert await stored_results.replace_result(fleet.redis, image_id, text, same) is Replaced.DONE
    assert (await fleet.job(job.job_id)).version == job.version


async def _fetched(fal: AlteredFal, times: int) -> bool:
    return fal.fetched("p.png") >= times


async def _is_idle(fleet: Fleet, job: JobSnapshot) -> bool:
    name = f"refresh:{job.images[0].image_id}"
    return await fleet.redis.execute_command("ZSCORE", queue_key("batch_processing"), name) is None
