"""The store is away when a request ends, and FAL is by the time it is back: what FAL has said is not lost.

FAL keeps a result for minutes only, so nobody may have to ask for it again.
"""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from image2model.domain import Counts
from image2model.store.records import JobSnapshot
from tests.support.gate import calls
from tests.support.stage import Stage, not_heard, taking_no_writes


@pytest.fixture
def stage(stage: Stage) -> Iterator[Stage]:
    """The same; the test may stop FAL."""
    yield stage
    os.kill(stage.fleet.emulator.pid, signal.SIGCONT)


async def _asked_once(stage: Stage, script: str, *words: bytes) -> str:
    """A job of one picture. From this call on the store is away, and when it is back, FAL is."""
    fleet = stage.fleet
    hold = stage.store.hold(calls(script, *words), answer=False)
    worker = stage.start_worker()
    job_id = await fleet.submit(1)
    async with asyncio.timeout(20):
        await hold.reached.wait()
    os.kill(fleet.emulator.pid, signal.SIGSTOP)
    async with taking_no_writes(fleet.redis):
        hold.release()
        await not_heard(worker)
    return job_id


def _ended(job: JobSnapshot) -> bool:
    return not job.counts.unfinished


async def test_result_that_is_stored_becomes_a_success(stage: Stage) -> None:
    job_id = await _asked_once(stage, "generation/step", b"succeeded")
    job = await stage.fleet.until(job_id, _ended)
    assert job.counts == Counts(succeeded=1)


@pytest.mark.long
async def test_end_of_a_generation_is_noted(stage: Stage) -> None:
    job_id = await _asked_once(stage, "generation/step", b"storing")
    await stage.fleet.until(job_id, lambda job: job.counts.storing == 1)


@pytest.mark.long
async def test_failure_keeps_fals_words(stage: Stage) -> None:
    stage.fleet.emulator.fault("422", count=1)
    job_id = await _asked_once(stage, "generation/step", b"failed")
    job = await stage.fleet.until(job_id, _ended)
    assert [image.error and image.error.code for image in job.images] == ["rejected_by_model"]


@pytest.mark.long
async def test_failed_attempt_is_followed_by_another(stage: Stage) -> None:
    stage.fleet.emulator.fault("500", count=1)
    job_id = await _asked_once(stage, "generation/try_again")
    await stage.fleet.until(job_id, lambda job: job.images[0].attempt == 2)
