"""Errors that nobody has thought of: seen, tried a few times, ended with a reason; never paid for twice."""

import json
import signal
from typing import Any

import pytest

from image2model.domain import Counts, ImageStatus
from image2model.jobs import records
from image2model.webhooks import deliveries
from image2model.webhooks.deliveries import DeliveryState
from tests.support.faulty_worker import SPOILT
from tests.support.fleet import Fleet, failed_codes
from tests.support.service_process import ServiceProcess
from tests.support.sketches import picture
from tests.support.wait import until

RUNS = 3


def reported(*workers: ServiceProcess) -> list[dict[str, Any]]:
    """The log's `unexpected_error` lines."""
    lines = [line for worker in workers for line in worker.log.read_text().splitlines()]
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    return [entry for entry in entries if entry["event"] == "unexpected_error"]


@pytest.mark.long
async def test_picture_that_raises_what_nobody_expected_ends_with_a_reason(fleet: Fleet) -> None:
    worker = fleet.start_faulty_worker(FAULT_STEP="prepare")
    spoilt = picture(1, (48, 32)) + SPOILT
    job_id = await fleet.submit(pictures=[spoilt, *(picture(seed, (48, 32)) for seed in range(2, 6))])
    job = await fleet.until_finished(job_id, timeout=60)
    assert job.counts == Counts(succeeded=4, failed=1)
    (error,) = [image.error for image in job.images if image.error]
    assert (error.code, error.retryable) == ("unexpected_error", True)
    assert "Nothing was sent" in error.message
    assert len(fleet.submissions_of(job)) == 4
    entries = reported(worker)
    assert len(entries) == RUNS
    assert {entry["image_id"] for entry in entries} == {job.images[0].image_id}
    assert all("encoder error -2" in entry["exception"] for entry in entries)


@pytest.mark.long
async def test_runs_are_counted_over_all_workers(fleet: Fleet) -> None:
    first = fleet.start_faulty_worker(FAULT_STEP="prepare")
    job_id = await fleet.submit(pictures=[picture(1, (48, 32)) + SPOILT])
    await fleet.until(job_id, lambda _: bool(reported(first)))
    first.send(signal.SIGKILL)
    second = fleet.start_faulty_worker(FAULT_STEP="prepare")
    job = await fleet.until_finished(job_id, timeout=60)
    assert failed_codes(job) == ["unexpected_error"]
    assert [entry["runs"] for entry in reported(first, second)] == [1, 2, 3]


@pytest.mark.long
@pytest.mark.parametrize("step", ["follow", "collect"])
async def test_error_behind_the_submit_is_tried_with_the_same_request(fleet: Fleet, step: str) -> None:
    worker = fleet.start_faulty_worker(FAULT_STEP=step, FAULT_TIMES="2")
    job = await fleet.until_finished(await fleet.submit(1), timeout=60)
    assert job.counts == Counts(succeeded=1)
    assert len(fleet.submissions_of(job)) == 1
    assert len(reported(worker)) == 2


@pytest.mark.long
@pytest.mark.parametrize("step", ["follow", "collect"])
async def test_what_was_paid_for_is_booked_and_a_retry_goes_on_with_it(fleet: Fleet, step: str) -> None:
    worker = fleet.start_faulty_worker(FAULT_STEP=step)
    job_id = await fleet.submit(1)
    job = await fleet.until_finished(job_id, timeout=60)
    (image,) = job.images
    assert image.error is not None
    assert image.error.code == "unexpected_error"
    assert image.cost_micro
    worker.send(signal.SIGTERM)
    await worker.exit_code()
    fleet.start_worker()
    assert await records.retry(fleet.redis, job_id, None, None, low_priority=False) == [image.image_id]
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert len(fleet.submissions_of(job)) == 1
    assert job.images[0].cost_micro == image.cost_micro


@pytest.mark.long
async def test_retry_with_other_parameters_is_a_new_request(fleet: Fleet) -> None:
    worker = fleet.start_faulty_worker(FAULT_STEP="follow")
    job_id = await fleet.submit(1)
    await fleet.until_finished(job_id, timeout=60)
    worker.send(signal.SIGTERM)
    await worker.exit_code()
    fleet.start_worker()
    await records.retry(fleet.redis, job_id, None, {"texture": "no"}, low_priority=False)
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert len(fleet.submissions_of(job)) == 2


@pytest.mark.long
async def test_webhook_that_cannot_be_delivered_ends_as_failed(fleet: Fleet) -> None:
    fleet.start_faulty_worker(FAULT_STEP="deliver", I2M_WEBHOOK_ALLOW_PRIVATE="1")
    await _delivery_fails(fleet)


@pytest.mark.long
async def test_webhook_that_cannot_be_announced_ends_as_failed(fleet: Fleet) -> None:
    fleet.start_faulty_worker(FAULT_STEP="announce", I2M_WEBHOOK_ALLOW_PRIVATE="1")
    await _delivery_fails(fleet)


async def _delivery_fails(fleet: Fleet) -> None:
    job_id = await fleet.submit(1, webhook_url="http://127.0.0.1:9/hook")

    async def failed() -> bool:
        return [one.state for one in await deliveries.of_job(fleet.redis, job_id)] == [DeliveryState.FAILED]

    await until(failed, timeout=60)
    (delivery,) = await deliveries.of_job(fleet.redis, job_id)
    assert delivery.attempts[-1].error == "an unexpected error of this service; its log has it"
    assert delivery.next_at is None


@pytest.mark.long
async def test_loop_that_fails_once_is_started_again(fleet: Fleet) -> None:
    worker = fleet.start_faulty_worker(FAULT_STEP="probe", FAULT_TIMES="2")
    job = await fleet.until_finished(await fleet.submit(2))
    assert job.counts == Counts(succeeded=2)
    assert [entry["task"] for entry in reported(worker)] == ["loop:probe"] * 2
    worker.send(signal.SIGTERM)
    assert await worker.exit_code() == 0


@pytest.mark.long
async def test_loop_that_fails_for_good_ends_the_process_and_gives_back_its_images(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=20)
    worker = fleet.start_faulty_worker(FAULT_STEP="probe")
    job_id = await fleet.submit(2)
    assert await worker.exit_code(60) == 1
    assert [entry["gives_up"] for entry in reported(worker)] == [False] * 4 + [True]
    job = await fleet.job(job_id)
    assert {image.status for image in job.images} <= {ImageStatus.SUBMITTED, ImageStatus.GENERATING}
    fleet.emulator.settings(latency=0)
    fleet.start_worker()
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=2)
    assert len(fleet.submissions_of(job)) == 2
