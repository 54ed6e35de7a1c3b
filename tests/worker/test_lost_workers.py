"""Workers that die, stop and leave: their pictures go on, and none is paid for twice."""

import signal
import time

import pytest

from image2model.domain import Counts, ImageStatus
from tests.support.fleet import Fleet, at_fal, failed_codes
from tests.support.stage import Stage

S = ImageStatus


@pytest.mark.long
async def test_killed_workers_images_are_followed_by_another(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=6)
    first = fleet.start_worker(I2M_WORKER_CONCURRENCY="10")
    job_id = await fleet.submit(10)
    await fleet.until(job_id, lambda job: at_fal(job) == 10)
    fleet.start_worker(I2M_WORKER_CONCURRENCY="10")
    first.send(signal.SIGKILL)
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=10)
    assert len(fleet.submissions_of(job)) == 10
    assert {image.attempt for image in job.images} == {1}


@pytest.mark.long
@pytest.mark.parametrize("status", [S.GENERATING, S.STORING])
async def test_killed_workers_image_goes_on_from_where_it_was(stage: Stage, status: S) -> None:
    """The windows around its submit are in `test_windows`."""
    stage.fleet.emulator.settings(latency=2)
    result = stage.fal.hold(lambda message: message.startswith(b"GET /files/"), answer=True)
    worker = stage.start_worker()
    job_id = await stage.fleet.submit(1)
    await stage.fleet.until(job_id, lambda job: job.images[0].status is status)
    if status is S.STORING:
        await result.reached.wait()
    worker.send(signal.SIGKILL)
    await worker.exit_code()
    result.release()
    lost = (await stage.fleet.job(job_id)).images[0]
    stage.start_worker()
    job = await stage.fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert (lost.status, job.images[0].attempt) == (status, 1)
    assert len(stage.fleet.submissions_of(job)) == 1


@pytest.mark.long
async def test_dead_workers_images_overtake_the_backlog(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=4)
    first = fleet.start_worker(I2M_WORKER_CONCURRENCY="5", I2M_MAX_CONCURRENT="10")
    running = await fleet.submit(5)
    await fleet.until(running, lambda job: at_fal(job) == 5)
    second = fleet.start_worker(I2M_WORKER_CONCURRENCY="5", I2M_MAX_CONCURRENT="10")
    waiting = await fleet.submit(40, owner="bob")
    await fleet.until(waiting, lambda job: at_fal(job) == 5)
    first.send(signal.SIGKILL)
    await fleet.until_finished(running)
    # lease 2 s, sweep, what was left of FAL's 4 s: far before the backlog's eight rounds of 4 s
    assert (await fleet.job(waiting)).counts.queued > 5
    second.send(signal.SIGTERM)


@pytest.mark.long
async def test_killed_while_submitting_buys_nothing_twice(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=1)
    job_id = await fleet.submit(60)
    for _ in range(3):
        worker = fleet.start_worker(I2M_UNCONFIRMED_GRACE="5")
        before = await fleet.job(job_id)
        await fleet.until(job_id, lambda job, before=before: job.counts != before.counts)
        worker.send(signal.SIGKILL)
        await worker.exit_code()
    fleet.start_worker(I2M_UNCONFIRMED_GRACE="5")
    job = await fleet.until_finished(job_id, timeout=60)
    entries = fleet.submissions_of(job)
    assert len({entry["tags"]["i2m.image"] for entry in entries}) == len(entries)
    assert job.counts.succeeded + len(failed_codes(job)) == 60
    assert set(failed_codes(job)) <= {"submission_unconfirmed"}


@pytest.mark.long
async def test_sigterm_gives_everything_back_at_once_and_uses_no_attempt(fleet: Fleet) -> None:
    fals_time = 15
    fleet.emulator.settings(latency=fals_time)
    first = fleet.start_worker()
    job_id = await fleet.submit(30)
    await fleet.until(job_id, lambda job: at_fal(job) == 30)
    started = time.monotonic()
    first.send(signal.SIGTERM)
    assert await first.exit_code() == 0
    assert time.monotonic() - started < fals_time / 2  # it did not wait for FAL
    fleet.start_worker()
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=30)
    assert {image.attempt for image in job.images} == {1}
    assert len(fleet.submissions_of(job)) == 30


@pytest.mark.long
async def test_worker_that_slept_over_its_lease_changes_nothing(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=8)
    first = fleet.start_worker()
    job_id = await fleet.submit(5)
    await fleet.until(job_id, lambda job: at_fal(job) == 5)
    fleet.start_worker()
    first.send(signal.SIGSTOP)
    log_has = '"leases_expired"'
    await fleet.until(job_id, lambda _: log_has in fleet.workers[1].log.read_text(), timeout=20)
    first.send(signal.SIGCONT)
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=5)
    assert len(fleet.submissions_of(job)) == 5
    first.send(signal.SIGTERM)
    assert await first.exit_code() == 0


@pytest.mark.long
async def test_worker_outlives_the_store(fleet: Fleet) -> None:
    worker = fleet.start_worker()
    job_id = await fleet.submit(3)
    await fleet.until_finished(job_id)
    await fleet.redis.client_kill_filter(_type="normal", skipme=True)
    job = await fleet.until_finished(await fleet.submit(3))
    assert job.counts == Counts(succeeded=3)
    worker.send(signal.SIGTERM)
    assert await worker.exit_code() == 0
