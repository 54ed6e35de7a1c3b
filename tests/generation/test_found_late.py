"""FAL's id turns up at the very moment at which the worker gives the submit up."""

import asyncio

import pytest

from image2model.domain import Counts, FalRequest
from image2model.generation import loading, steps
from image2model.generation.steps import Committed
from image2model.store.durability import Replicas
from tests.support.gate import calls
from tests.support.stage import Stage


@pytest.mark.long
@pytest.mark.parametrize(
    ("then", "script"), [("fail", "generation/step"), ("resubmit", "generation/try_again")]
)
async def test_request_that_turns_up_while_it_is_given_up_is_followed(
    stage: Stage, then: str, script: str
) -> None:
    fleet = stage.fleet
    fleet.emulator.fault("lookup_blind", rate=1)
    fleet.emulator.fault("drop_after_accept", count=1)
    fleet.emulator.settings(concurrency=0)
    words = (b"submission_unconfirmed",) if then == "fail" else ()
    hold = stage.store.hold(calls(script, *words), answer=False)
    stage.start_worker(I2M_UNCONFIRMED_GRACE="1", I2M_ON_UNCONFIRMED=then)
    job_id = await fleet.submit(1)
    async with asyncio.timeout(20):
        await hold.reached.wait()
    await _tell(stage, job_id)
    hold.release()
    fleet.emulator.settings(concurrency=10)
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert len(fleet.submissions_of(job)) == 1


async def _tell(stage: Stage, job_id: str) -> None:
    """As FAL's webhook does."""
    fleet = stage.fleet
    job = await fleet.job(job_id)
    (entry,) = fleet.submissions_of(job)
    base = f"http://127.0.0.1:{stage.fal.port}/tripo3d/tripo/requests/{entry['request_id']}"
    request = FalRequest(entry["request_id"], f"{base}/status", base, f"{base}/cancel")
    image_id = job.images[0].image_id
    token = (await loading.load(fleet.redis, image_id)).attempt_token
    stored = await steps.commit_submission(Replicas(fleet.redis), image_id, "", token, request)
    assert stored is Committed.ANOTHERS
