"""A worker slept through its POST, and its picture was run again meanwhile: both requests are paid for."""

import asyncio
import signal

import pytest

from image2model.jobs import records
from tests.support.fleet import failed_codes
from tests.support.gate import calls
from tests.support.stage import Stage


@pytest.mark.long
@pytest.mark.parametrize("obeyed", [True, False])
async def test_request_that_came_too_late_is_booked_if_fal_finishes_it(stage: Stage, *, obeyed: bool) -> None:
    fleet, emulator = stage.fleet, stage.fleet.emulator
    emulator.settings(concurrency=0, latency=3)
    emulator.fault("lookup_blind", rate=1)
    hold = stage.store.hold(calls("generation/commit_submission"), answer=False)
    asleep = stage.start_worker(I2M_UNCONFIRMED_GRACE="1")
    job_id = await fleet.submit(1)
    async with asyncio.timeout(40):
        await hold.reached.wait()
    asleep.send(signal.SIGSTOP)
    fleet.start_worker(I2M_UNCONFIRMED_GRACE="1")
    await fleet.until(job_id, lambda job: failed_codes(job) == ["submission_unconfirmed"])
    await records.retry(fleet.redis, job_id, None, None, low_priority=False)
    await fleet.until(job_id, lambda job: job.counts.submitted == 1)
    if not obeyed:  # only what runs can ignore a cancel
        emulator.fault("cancel_ignored", count=1)
        emulator.settings(concurrency=100)
        await fleet.until(job_id, lambda job: job.counts.generating == 1)
    hold.release()
    asleep.send(signal.SIGCONT)
    async with asyncio.timeout(40):
        while "superseded_request" not in asleep.log.read_text():
            await asyncio.sleep(0.02)
    emulator.settings(concurrency=100)
    paid = 300_000 if obeyed else 600_000
    job = await fleet.until(job_id, lambda job: job.counts.succeeded == 1 and job.job.cost_micro == paid)
    assert len(fleet.submissions_of(job)) == 2
    assert job.images[0].cost_micro == paid
    if obeyed:
        async with asyncio.timeout(40):
            while "superseded_request_not_booked" not in asleep.log.read_text():
                await asyncio.sleep(0.02)
        assert (await fleet.job(job_id)).job.cost_micro == paid
