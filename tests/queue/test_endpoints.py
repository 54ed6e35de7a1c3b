"""An endpoint that FAL refuses or that fails: its pictures wait, all others go on, and it ends by itself."""

import signal

import pytest

from image2model.domain import Counts, WaitingFor
from image2model.jobs import records
from image2model.store.records import JobSnapshot
from tests.support.circuits import generation_pauses, open_circuits
from tests.support.fleet import Fleet, failed_codes
from tests.support.wait import until

BAD, OTHER = "fal-ai/trellis", "fal-ai/triposr"


def waits_for_endpoint(job: JobSnapshot) -> bool:
    return job.job.waiting_for is WaitingFor.ENDPOINT


@pytest.mark.long
async def test_refused_endpoint_holds_up_nobody_and_comes_back_by_itself(fleet: Fleet) -> None:
    fleet.emulator.fault("endpoint_403", rate=1, endpoint=BAD)
    fleet.start_paced_worker(0.3, 1, I2M_MAX_CONCURRENT="4", I2M_START_TIMEOUT="1")
    refused = await fleet.submit(8, model=BAD)
    passing = await fleet.submit(12)
    assert (await fleet.until_finished(passing)).counts == Counts(succeeded=12)
    await fleet.until(refused, waits_for_endpoint)
    assert await generation_pauses(fleet.redis) == ()
    fleet.emulator.http.delete("/_emulator/faults")
    job = await fleet.until_finished(refused)
    assert job.counts == Counts(succeeded=8)
    assert {image.attempt for image in job.images} == {1}
    assert len(fleet.submissions_of(job)) == 8


@pytest.mark.long
async def test_endpoint_that_fails_its_posts_costs_five_and_one_for_each_probe(fleet: Fleet) -> None:
    fleet.emulator.fault("endpoint_down", value="post", rate=1, endpoint=BAD)
    worker = fleet.start_paced_worker(1, 4, I2M_MAX_CONCURRENT="1", I2M_UNCONFIRMED_GRACE="1")
    failing = await fleet.submit(20, model=BAD)
    passing = await fleet.submit(5)
    assert (await fleet.until_finished(passing)).counts == Counts(succeeded=5)
    job = await fleet.until(failing, lambda job: waits_for_endpoint(job) and job.counts.failed >= 7)
    fleet.emulator.http.delete("/_emulator/faults")
    job = await fleet.until_finished(failing)
    lost = worker.log.read_text().count('"submission_reply_lost"')
    assert failed_codes(job) == ["submission_unconfirmed"] * lost
    assert 7 <= lost <= 10
    assert job.counts == Counts(succeeded=20 - lost, failed=lost)
    assert len(fleet.submissions_of(job)) == 20 - lost


@pytest.mark.long
async def test_endpoint_whose_results_fail_uses_up_no_attempts(fleet: Fleet) -> None:
    fleet.emulator.fault("endpoint_down", value="result", rate=1, endpoint=BAD)
    fleet.start_paced_worker(0.3, 1, I2M_MAX_ATTEMPTS="2")
    failing = await fleet.submit(12, model=BAD)
    await fleet.until(failing, waits_for_endpoint)
    probed = len(fleet.submissions_of(await fleet.job(failing)))
    await fleet.until(failing, lambda job: len(fleet.submissions_of(job)) >= probed + 4)
    fleet.emulator.http.delete("/_emulator/faults")
    job = await fleet.until_finished(failing)
    assert job.counts == Counts(succeeded=12)
    assert job.job.cost_micro > 0


@pytest.mark.long
async def test_only_who_waits_for_an_endpoint_gives_up(fleet: Fleet) -> None:
    fleet.emulator.fault("endpoint_403", rate=1, endpoint=BAD)
    fleet.start_paced_worker(0.5, 1, I2M_ENDPOINT_PATIENCE="2")
    job = await fleet.until_finished(await fleet.submit(3, model=BAD))
    assert failed_codes(job) == ["endpoint_unavailable"] * 3
    error = job.images[0].error
    assert error is not None
    assert error.retryable
    assert BAD in error.message
    assert job.job.cost_micro == 0
    fleet.emulator.http.delete("/_emulator/faults")
    await records.retry(fleet.redis, job.job_id, None, None, low_priority=False)
    assert (await fleet.until_finished(job.job_id)).counts == Counts(succeeded=3)


@pytest.mark.long
async def test_account_that_is_locked_and_unlocked_while_an_endpoint_is_refused(fleet: Fleet) -> None:
    fleet.emulator.fault("endpoint_403", rate=1, endpoint=BAD)
    fleet.start_paced_worker(0.3, 1)
    refused = await fleet.submit(4, model=BAD)
    await fleet.until(refused, waits_for_endpoint)
    fleet.emulator.fault("locked", rate=1)
    passing = await fleet.submit(6)
    await fleet.until(passing, lambda job: job.job.waiting_for is WaitingFor.ACCOUNT)
    fleet.emulator.http.delete("/_emulator/faults")
    fleet.emulator.fault("endpoint_403", rate=1, endpoint=BAD)
    assert (await fleet.until_finished(passing)).counts == Counts(succeeded=6)
    job = await fleet.until(refused, waits_for_endpoint)
    assert job.counts.failed == 0


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_those_that_wait_outlive_their_workers(fleet: Fleet, number: signal.Signals) -> None:
    fleet.emulator.fault("endpoint_403", rate=1, endpoint=BAD)
    first = fleet.start_paced_worker(4, 4)
    refused = await fleet.submit(6, model=BAD)
    await fleet.until(refused, waits_for_endpoint)
    first.send(number)
    await first.exit_code()
    fleet.emulator.http.delete("/_emulator/faults")
    fleet.start_paced_worker(4, 4)
    job = await fleet.until_finished(refused)
    assert job.counts == Counts(succeeded=6)
    assert len(fleet.submissions_of(job)) == 6


@pytest.mark.long
async def test_two_refused_endpoints_stop_the_fleet_until_another_passes(fleet: Fleet) -> None:
    for model in (BAD, OTHER):
        fleet.emulator.fault("endpoint_403", rate=1, endpoint=model)
    fleet.start_paced_worker(20, 20)
    for model in (BAD, OTHER):
        await fleet.submit(2, model=model)

    async def stopped() -> bool:
        return await generation_pauses(fleet.redis) == ("account",)

    await until(stopped)
    passing = await fleet.submit(4)
    assert (await fleet.until_finished(passing)).counts == Counts(succeeded=4)
    assert await generation_pauses(fleet.redis) == ()
    assert {state.model for state in await open_circuits(fleet.redis)} == {BAD, OTHER}


async def test_waiting_pictures_are_cancelled_at_once(fleet: Fleet) -> None:
    fleet.emulator.fault("endpoint_403", rate=1, endpoint=BAD)
    fleet.start_paced_worker(20, 20)
    refused = await fleet.submit(3, model=BAD)
    await fleet.until(refused, waits_for_endpoint)
    assert await records.cancel(fleet.redis, refused) == (3, 0)
    assert (await fleet.job(refused)).counts == Counts(cancelled=3)
    (state,) = await open_circuits(fleet.redis)
    assert state.waiting == 0
