"""Submits whose reply was lost: found again, or left alone; never sent twice by themselves."""

import time

import httpx
import pytest

from image2model.domain import Counts, FalRequest
from image2model.generation import loading, steps
from image2model.generation.steps import Committed
from image2model.jobs import records
from image2model.store.durability import Replicas
from tests.support.fleet import Fleet, failed_codes
from tests.support.ports import free_port


async def tokens(fleet: Fleet, job_id: str) -> dict[str, str]:
    """The attempt token of each image of a job."""
    job = await fleet.job(job_id)
    return {i.image_id: (await loading.load(fleet.redis, i.image_id)).attempt_token for i in job.images}


@pytest.mark.parametrize("kind", ["drop_after_accept", "malformed"])
async def test_lost_reply_is_found_again_by_its_url(fleet: Fleet, kind: str) -> None:
    fleet.emulator.fault(kind, count=1)
    fleet.start_worker()
    job = await fleet.until_finished(await fleet.submit(1))
    assert job.counts == Counts(succeeded=1)
    assert len(fleet.submissions_of(job)) == 1


@pytest.mark.long
async def test_lagging_listing_is_asked_again(fleet: Fleet) -> None:
    fleet.emulator.settings(lookup_lag=3)
    fleet.emulator.fault("lookup_lag", rate=1)
    fleet.emulator.fault("drop_after_accept", count=1)
    fleet.start_worker()
    job = await fleet.until_finished(await fleet.submit(1))
    assert job.counts == Counts(succeeded=1)
    assert len(fleet.submissions_of(job)) == 1


@pytest.mark.long
async def test_submit_that_nobody_lists_fails_once_and_is_not_sent_again(fleet: Fleet) -> None:
    fleet.emulator.fault("nginx_502", count=1)
    fleet.start_worker(I2M_UNCONFIRMED_GRACE="2")
    job = await fleet.until_finished(await fleet.submit(1))
    assert failed_codes(job) == ["submission_unconfirmed"]
    assert fleet.submissions_of(job) == []
    assert await records.retry(fleet.redis, job.job_id, None, None, low_priority=False)
    job = await fleet.until_finished(job.job_id)
    assert job.counts == Counts(succeeded=1)
    assert len(fleet.submissions_of(job)) == 1


@pytest.mark.long
async def test_operator_may_ask_for_a_new_submit(fleet: Fleet) -> None:
    fleet.emulator.fault("nginx_502", count=1)
    fleet.start_worker(I2M_UNCONFIRMED_GRACE="2", I2M_ON_UNCONFIRMED="resubmit")
    job = await fleet.until_finished(await fleet.submit(1))
    assert job.counts == Counts(succeeded=1)
    assert job.images[0].attempt == 2


@pytest.mark.long
async def test_id_that_turns_up_late_makes_a_success_of_the_failure(fleet: Fleet) -> None:
    fleet.emulator.fault("lookup_blind", rate=1)
    fleet.emulator.fault("drop_after_accept", count=1)
    fleet.emulator.settings(concurrency=0)
    fleet.start_worker(I2M_UNCONFIRMED_GRACE="1")
    job_id = await fleet.submit(1)
    await fleet.until_finished(job_id)
    job = await fleet.job(job_id)
    assert failed_codes(job) == ["submission_unconfirmed"]
    (image,) = job.images
    (entry,) = fleet.submissions_of(job)
    fleet.emulator.settings(concurrency=10)
    base = f"{fleet.emulator.url}/tripo3d/tripo/requests/{entry['request_id']}"
    request = FalRequest(entry["request_id"], f"{base}/status", base, f"{base}/cancel")
    token = (await tokens(fleet, job_id))[image.image_id]
    stored = await steps.commit_submission(Replicas(fleet.redis), image.image_id, "", token, request)
    assert stored is Committed.ANOTHERS
    job = await fleet.until(job_id, lambda job: job.counts.succeeded == 1)
    assert len(fleet.submissions_of(job)) == 1


@pytest.mark.long
async def test_fals_webhook_brings_the_id_that_the_reply_lost(fleet: Fleet) -> None:
    fleet.emulator.fault("lookup_lag", rate=1)
    fleet.emulator.fault("drop_after_accept", count=1)
    fleet.emulator.settings(latency=4, lookup_lag=600)
    port = free_port()
    await fleet.start_api(port, I2M_PUBLIC_URL=f"http://127.0.0.1:{port}")
    fleet.start_worker(I2M_UNCONFIRMED_GRACE="1", I2M_PUBLIC_URL=f"http://127.0.0.1:{port}")
    job_id = await fleet.submit(1)
    await fleet.until(job_id, lambda job: failed_codes(job) == ["submission_unconfirmed"])
    job = await fleet.until(job_id, lambda job: job.counts.succeeded == 1)
    assert len(fleet.submissions_of(job)) == 1


@pytest.mark.long
async def test_webhook_that_fal_did_not_sign_is_refused(fleet: Fleet) -> None:
    port = free_port()
    await fleet.start_api(port, I2M_PUBLIC_URL=f"http://127.0.0.1:{port}")
    now = str(int(time.time()))
    headers = {
        "X-Fal-Webhook-Request-Id": "r",
        "X-Fal-Webhook-User-Id": "u",
        "X-Fal-Webhook-Timestamp": now,
        "X-Fal-Webhook-Signature": "00" * 64,
    }
    async with httpx.AsyncClient() as http:
        url = f"http://127.0.0.1:{port}/api/v1/webhooks/fal?image=x&attempt=y"
        body = {"request_id": "r", "status": "OK", "payload": {}}
        assert (await http.post(url, json=body, headers=headers)).status_code == 401
        assert (await http.post(url, json=body)).status_code == 401


@pytest.mark.long
async def test_new_submits_end_with_the_attempts(fleet: Fleet) -> None:
    fleet.emulator.fault("lookup_blind", rate=1)
    fleet.emulator.fault("drop_after_accept", rate=1)
    fleet.start_worker(I2M_UNCONFIRMED_GRACE="1", I2M_ON_UNCONFIRMED="resubmit", I2M_MAX_ATTEMPTS="2")
    fleet.emulator.settings(concurrency=0)
    job = await fleet.until_finished(await fleet.submit(1))
    assert failed_codes(job) == ["submission_unconfirmed"]
    assert len(fleet.submissions_of(job)) == 2
