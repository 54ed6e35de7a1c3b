"""A refusal that reaches nobody: FAL did not accept, so the picture is sent again, whoever heard it."""

import asyncio
import signal

import pytest

from image2model.domain import Counts
from tests.support.stage import Stage, not_heard, taking_no_writes


async def _sent_once(stage: Stage, job_id: str) -> None:
    job = await stage.fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=1)
    assert len(stage.fleet.submissions_of(job)) == 1


@pytest.mark.long
@pytest.mark.parametrize("kind", ["429", "locked"])
async def test_worker_that_stops_while_fal_refuses_leaves_nothing_in_doubt(stage: Stage, kind: str) -> None:
    stage.fleet.emulator.fault(kind, count=1)
    hold = stage.window("accepted, before the reply")
    stopped = stage.start_worker()
    job_id = await stage.fleet.submit(1)
    async with asyncio.timeout(40):
        await hold.reached.wait()
    stopped.send(signal.SIGTERM)
    await stage.fleet.until(job_id, lambda _: '"releasing_tasks"' in stopped.log.read_text())
    await asyncio.sleep(0.2)  # until its tasks are cancelled, which nothing tells; too early only proves less
    hold.release()
    assert await stopped.exit_code() == 0
    stage.start_worker(I2M_UNCONFIRMED_GRACE="3")
    await _sent_once(stage, job_id)


@pytest.mark.long
async def test_refusal_is_not_forgotten_while_the_store_is_away(stage: Stage) -> None:
    stage.fleet.emulator.fault("429", count=1)
    hold = stage.window("accepted, before the reply")
    worker = stage.start_worker(I2M_UNCONFIRMED_GRACE="3")
    job_id = await stage.fleet.submit(1)
    async with asyncio.timeout(40):
        await hold.reached.wait()
    async with taking_no_writes(stage.fleet.redis):
        hold.release()
        await not_heard(worker)
    await _sent_once(stage, job_id)
