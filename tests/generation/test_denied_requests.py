"""FAL denies what it has, or ends a request with a word of its own: what was paid for is not forgotten."""

import time
from typing import Any

import pytest

from image2model.domain import Counts
from image2model.jobs import records
from tests.support.altered_fal import AlteredFal
from tests.support.fleet import Fleet, at_fal
from tests.support.ports import free_port

pytestmark = pytest.mark.long

FOR_EVER = 10**9


@pytest.mark.parametrize("kind", ["status", "result"])
async def test_denial_that_lasts_a_while_loses_nothing(kind: str, fleet: Fleet, fal: AlteredFal) -> None:
    fal.denied[kind] = 6
    fal.lookups = False
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url, I2M_UNCONFIRMED_GRACE="60")
    job = await fleet.until_finished(await fleet.submit(1), timeout=50)
    assert job.counts == Counts(succeeded=1)
    assert len(fleet.submissions_of(job)) == 1
    assert fal.denied[kind] == 0


@pytest.mark.parametrize("kind", ["status", "result"])
async def test_denial_is_believed_after_the_grace_and_booked(
    kind: str, fleet: Fleet, fal: AlteredFal
) -> None:
    fal.denied[kind] = FOR_EVER
    fal.lookups = False
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url, I2M_UNCONFIRMED_GRACE="2")
    began = time.monotonic()
    job = await fleet.until_finished(await fleet.submit(1), timeout=50)
    assert time.monotonic() - began > 2
    (image,) = job.images
    assert image.error is not None
    assert (image.error.code, image.cost_micro, image.cost_uncertain) == ("result_expired", 300_000, True)
    assert len(fleet.submissions_of(job)) == 1


@pytest.mark.parametrize("kind", ["status", "result"])
async def test_listing_gives_the_result_that_the_queue_denies(
    kind: str, fleet: Fleet, fal: AlteredFal
) -> None:
    fal.denied["result"] = FOR_EVER
    fal.denied["status"] = FOR_EVER if kind == "status" else 0
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url, I2M_UNCONFIRMED_GRACE="60")
    job = await fleet.until_finished(await fleet.submit(1), timeout=50)
    assert job.counts == Counts(succeeded=1)
    assert job.images[0].cost_micro == 300_000


async def test_webhook_gives_the_result_that_the_queue_denies(fleet: Fleet, fal: AlteredFal) -> None:
    fal.denied |= {"result": FOR_EVER, "status": FOR_EVER}
    fal.lookups = False
    port = free_port()
    public = {"I2M_PUBLIC_URL": f"http://127.0.0.1:{port}", "I2M_FAL_BASE_URL": fal.url}
    await fleet.start_api(port, **public)
    fleet.start_worker(I2M_UNCONFIRMED_GRACE="60", **public)
    job = await fleet.until_finished(await fleet.submit(1), timeout=50)
    assert job.counts == Counts(succeeded=1)
    assert len(fleet.submissions_of(job)) == 1


async def test_words_of_a_webhook_are_in_the_error(fleet: Fleet, fal: AlteredFal) -> None:
    fleet.emulator.fault("422", count=1)
    fal.denied |= {"result": FOR_EVER, "status": FOR_EVER}
    fal.lookups = False
    port = free_port()
    public = {"I2M_PUBLIC_URL": f"http://127.0.0.1:{port}", "I2M_FAL_BASE_URL": fal.url}
    await fleet.start_api(port, **public)
    fleet.start_worker(I2M_UNCONFIRMED_GRACE="2", **public)
    job = await fleet.until_finished(await fleet.submit(1), timeout=50)
    (image,) = job.images
    assert image.error is not None
    assert image.error.code == "result_expired"
    assert "could not make anything of this image" in image.error.message


async def test_refusal_in_the_listing_is_the_images(fleet: Fleet, fal: AlteredFal) -> None:
    fleet.emulator.fault("422", count=1)
    fal.denied["result"] = FOR_EVER
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url, I2M_UNCONFIRMED_GRACE="60")
    job = await fleet.until_finished(await fleet.submit(1), timeout=50)
    assert job.images[0].error is not None
    assert job.images[0].error.code == "rejected_by_model"


def ends_as(word: str, **more: object) -> Any:
    """States in which FAL's COMPLETED is another word."""
    return lambda status: status | {"status": word, **more} if status["status"] == "COMPLETED" else status


@pytest.mark.parametrize("word", ["FAILED", "canceled", "Done"])
async def test_end_by_another_word_is_settled_by_the_result(word: str, fleet: Fleet, fal: AlteredFal) -> None:
    fal.streams = False
    fal.status = ends_as(word, error="CUDA out of memory")
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url)
    job = await fleet.until_finished(await fleet.submit(1), timeout=50)
    assert job.counts == Counts(succeeded=1)


async def test_word_that_sounds_like_an_end_too_early_ends_nothing(fleet: Fleet, fal: AlteredFal) -> None:
    fal.streams = False
    fal.status = lambda status: status | {"status": "FAILED"}
    fleet.emulator.settings(latency=3)
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url)
    job = await fleet.until_finished(await fleet.submit(1), timeout=50)
    assert job.counts == Counts(succeeded=1)


@pytest.mark.parametrize("cancel", [False, True])
async def test_end_that_the_result_denies_for_ever_is_cancelled_after_the_timeout(
    cancel: bool, fleet: Fleet, fal: AlteredFal
) -> None:
    """A status `FAILED` beside a result that is "still in progress": it holds a permit, but not for ever."""
    fal.streams = False
    fal.status = lambda status: status | {"status": "FAILED", "error": "CUDA out of memory"}
    fleet.emulator.settings(latency=600)
    fleet.emulator.fault("cancel_ignored", count=10)
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url, I2M_TASK_TIMEOUT="2", I2M_UNCONFIRMED_GRACE="2")
    job_id = await fleet.submit(1)
    if cancel:
        await fleet.until(job_id, lambda job: at_fal(job) == 1, timeout=20)
        await records.cancel(fleet.redis, job_id)
    job = await fleet.until_finished(job_id, timeout=50)
    (image,) = job.images
    assert (image.cost_micro, image.cost_uncertain) == (300_000, True)
    assert len(fleet.submissions_of(job)) == 1
    if cancel:
        assert job.counts == Counts(cancelled=1)
    else:
        assert image.error is not None
        assert image.error.code == "generation_timeout"
        assert "CUDA out of memory" in image.error.message


@pytest.mark.parametrize(
    ("error", "code"), [("CUDA out of memory", "result_expired"), ("NSFW content detected", "content_policy")]
)
async def test_words_of_the_status_are_in_the_error(
    error: str, code: str, fleet: Fleet, fal: AlteredFal
) -> None:
    fal.streams, fal.lookups = False, False
    fal.status = ends_as("FAILED", error=error)
    fleet.emulator.settings(latency=2.5)
    fal.denied["result"] = FOR_EVER
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url, I2M_UNCONFIRMED_GRACE="1")
    job = await fleet.until_finished(await fleet.submit(1), timeout=50)
    (image,) = job.images
    assert image.error is not None
    assert (image.error.code, image.cost_micro) == (code, 300_000)
    assert error in image.error.message


async def test_words_of_the_status_stand_in_for_a_result_without_any(fleet: Fleet, fal: AlteredFal) -> None:
    fal.streams = False
    fal.status = ends_as("COMPLETED", error={"message": "runner lost"}, error_type="runner_disconnected")
    fal.result = lambda _: (500, b"")
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url, I2M_MAX_ATTEMPTS="1")
    job = await fleet.until_finished(await fleet.submit(1), timeout=50)
    (image,) = job.images
    assert image.error is not None
    assert (image.error.message, image.error.fal_type) == ("runner lost", "runner_disconnected")


async def test_status_of_odd_types_ends_all_the_same(fleet: Fleet, fal: AlteredFal) -> None:
    fal.streams = False
    fal.status = lambda status: status | {"queue_position": "soon", "error_type": 7, "logs": 3}
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url)
    job = await fleet.until_finished(await fleet.submit(1), timeout=50)
    assert job.counts == Counts(succeeded=1)
