"""kill -9 and SIGSTOP in each window around the submit: what was bought, and what becomes of the picture."""

import asyncio
import signal

import pytest

from image2model.domain import Counts, ImageStatus
from image2model.jobs import records
from image2model.store.keys import key
from tests.support.fleet import failed_codes
from tests.support.gate import Hold
from tests.support.ports import free_port
from tests.support.service_process import ServiceProcess
from tests.support.stage import Stage

ACCEPTED = ("accepted, before the reply", "after the reply, before the commit")


async def _held_in(stage: Stage, window: str) -> tuple[str, ServiceProcess, Hold]:
    """A job of one picture, its worker, and what holds it in this window."""
    hold = stage.window(window)
    worker = stage.start_worker()
    job_id = await stage.fleet.submit(1)
    async with asyncio.timeout(40):
        await hold.reached.wait()
    return job_id, worker, hold


async def killed_in(stage: Stage, window: str) -> str:
    """A job of one picture whose worker was killed in this window."""
    job_id, worker, _ = await _held_in(stage, window)
    worker.send(signal.SIGKILL)
    await worker.exit_code()
    return job_id


@pytest.mark.long
async def test_killed_before_the_mark_is_submitted_once(stage: Stage) -> None:
    job_id = await killed_in(stage, "before the mark")
    stage.start_worker()
    job = await stage.fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert len(stage.fleet.submissions_of(job)) == 1
    assert job.images[0].attempt == 1


@pytest.mark.long
async def test_killed_between_mark_and_post_waits_for_a_retry(stage: Stage) -> None:
    job_id = await killed_in(stage, "between mark and POST")
    worker = stage.start_worker(I2M_UNCONFIRMED_GRACE="12")
    job = await stage.fleet.until_finished(job_id, timeout=60)
    assert failed_codes(job) == ["submission_unconfirmed"]
    assert '"event": "submission_unconfirmed"' in worker.log.read_text()  # while it stood still
    assert stage.fleet.submissions_of(job) == []
    await records.retry(stage.fleet.redis, job_id, None, None, low_priority=False)
    job = await stage.fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert len(stage.fleet.submissions_of(job)) == 1


@pytest.mark.long
async def test_killed_between_mark_and_post_goes_on_by_itself_where_it_may(stage: Stage) -> None:
    job_id = await killed_in(stage, "between mark and POST")
    stage.start_worker(I2M_UNCONFIRMED_GRACE="3", I2M_ON_UNCONFIRMED="resubmit")
    job = await stage.fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert len(stage.fleet.submissions_of(job)) == 1


@pytest.mark.long
@pytest.mark.parametrize("window", ACCEPTED)
async def test_killed_before_the_commit_is_found_by_the_lookup(stage: Stage, window: str) -> None:
    job_id = await killed_in(stage, window)
    stage.start_worker()
    job = await stage.fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert len(stage.fleet.submissions_of(job)) == 1
    assert job.images[0].attempt == 1


@pytest.mark.long
@pytest.mark.parametrize("window", ACCEPTED)
async def test_killed_before_the_commit_is_found_by_the_webhook(stage: Stage, window: str) -> None:
    port = free_port()
    public = {"I2M_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    stage.fleet.emulator.settings(latency=4, lookup_lag=600)
    stage.fleet.emulator.fault("lookup_lag", rate=1)
    hold = stage.window(window)
    await stage.fleet.start_api(port, **stage.settings(), **public)
    worker = stage.start_worker(**public)
    job_id = await stage.fleet.submit(1)
    async with asyncio.timeout(40):
        await hold.reached.wait()
    worker.send(signal.SIGKILL)
    stage.start_worker(**public)
    job = await stage.fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert len(stage.fleet.submissions_of(job)) == 1


@pytest.mark.long
async def test_killed_after_the_commit_is_followed_on(stage: Stage) -> None:
    job_id = await killed_in(stage, "after the commit")
    stage.start_worker()
    job = await stage.fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    (entry,) = stage.fleet.submissions_of(job)
    assert job.images[0].request_id == entry["request_id"]


async def slept_through(stage: Stage, window: str) -> str:
    """A job of one picture whose worker was stopped in this window until another one had taken over."""
    job_id, asleep, hold = await _held_in(stage, window)
    asleep.send(signal.SIGSTOP)
    (image,) = (await stage.fleet.job(job_id)).images
    fence = await stage.fleet.redis.hget(key("image", image.image_id), "fence")
    stage.start_worker()
    await _held_by_another(stage, image.image_id, fence)
    hold.release()
    asleep.send(signal.SIGCONT)
    return job_id


async def _held_by_another(stage: Stage, image_id: str, fence: bytes) -> None:
    async with asyncio.timeout(40):
        while await stage.fleet.redis.hget(key("image", image_id), "fence") in (fence, b""):
            await asyncio.sleep(0.01)


@pytest.mark.long
@pytest.mark.parametrize(
    "window", ["before the mark", "between mark and POST", *ACCEPTED, "after the commit"]
)
async def test_worker_that_slept_over_its_lease_buys_nothing_more(stage: Stage, window: str) -> None:
    job_id = await slept_through(stage, window)
    job = await stage.fleet.until_finished(job_id)
    assert len(stage.fleet.submissions_of(job)) == 1
    assert job.counts == Counts(succeeded=1)
    assert job.images[0].attempt == 1
    await _all_end_well(stage.fleet.workers)


async def _all_end_well(workers: list[ServiceProcess]) -> None:
    for worker in workers:
        worker.send(signal.SIGTERM)
    assert [await worker.exit_code() for worker in workers] == [0] * len(workers)


@pytest.mark.long
async def test_worker_that_slept_while_it_fetched_the_result_changes_nothing(stage: Stage) -> None:
    stage.fleet.emulator.settings(latency=0.5)
    hold = stage.fal.hold(lambda message: message.startswith(b"GET /files/"), answer=True)
    asleep = stage.start_worker()
    job_id = await stage.fleet.submit(1)
    async with asyncio.timeout(40):
        await hold.reached.wait()
    asleep.send(signal.SIGSTOP)
    stage.start_worker()
    job = await stage.fleet.until_finished(job_id)
    (image,) = job.images
    assert (image.status, image.attempt) == (ImageStatus.SUCCEEDED, 1)
    hold.release()
    asleep.send(signal.SIGCONT)
    await _all_end_well(stage.fleet.workers)
    again = await stage.fleet.job(job_id)
    assert again.images == job.images
    assert again.version == job.version
    assert len(stage.fleet.submissions_of(job)) == 1
