"""The account's fault and FAL being down: images wait, none fails, and all goes on by itself."""

import pytest

from image2model.domain import Counts, WaitingFor
from image2model.queue import circuits
from image2model.queue import fleet as fleet_store
from image2model.store.keys import Queue
from tests.support.fleet import Fleet


@pytest.mark.long
@pytest.mark.parametrize("kind", ["locked", "401"])
async def test_fault_of_the_account_pauses_and_resumes_by_itself(fleet: Fleet, kind: str) -> None:
    fleet.emulator.fault(kind, rate=1)
    fleet.start_worker(I2M_START_TIMEOUT="2")
    job_id = await fleet.submit(8)
    await fleet.until(job_id, lambda job: job.job.waiting_for is WaitingFor.ACCOUNT)
    state = await fleet_store.read(fleet.redis)
    assert next(q.paused for q in state.queues if q.queue == Queue.GENERATION) == ("account",)
    refused_for = 4  # longer than I2M_START_TIMEOUT: a pause does not count
    at = state.at
    while (await fleet_store.read(fleet.redis)).at - at < refused_for * 1000:
        job = await fleet.job(job_id)
        assert job.counts.failed == 0
    fleet.emulator.http.delete("/_emulator/faults")
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=8)
    assert len(fleet.submissions_of(job)) == 8
    assert {image.attempt for image in job.images} == {1}


async def test_operators_pause_holds_until_it_is_lifted(fleet: Fleet) -> None:
    await circuits.pause_queue(fleet.redis, Queue.GENERATION)
    fleet.start_worker()
    job_id = await fleet.submit(2)
    await fleet.until(job_id, lambda job: job.job.waiting_for is WaitingFor.PAUSED)
    assert (await fleet.job(job_id)).counts == Counts(queued=2)
    await circuits.resume_queue(fleet.redis, Queue.GENERATION)
    assert (await fleet.until_finished(job_id)).counts == Counts(succeeded=2)
    assert (await fleet.job(job_id)).job.waiting_for is None


@pytest.mark.long
async def test_limit_is_told_as_the_reason_for_waiting(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=3)
    fleet.start_worker(I2M_MAX_CONCURRENT="1")
    first = await fleet.submit(1)
    await fleet.until(first, lambda job: job.counts.generating == 1)
    second = await fleet.submit(1)
    await fleet.until(second, lambda job: job.job.waiting_for is WaitingFor.LIMIT)
    job = await fleet.until_finished(second)
    assert job.job.waiting_for is None
