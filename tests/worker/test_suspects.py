"""Pictures that end the process which decodes them, and healthy ones in workers that are killed."""

import asyncio
import signal

import pytest

from image2model.domain import Counts
from tests.support.faulty_worker import SPOILT
from tests.support.fleet import Fleet, failed_codes
from tests.support.sketches import picture
from tests.support.wait import until

pytestmark = pytest.mark.long

FAULT = {"FAULT_STEP": "prepare", "FAULT_KIND": "kill"}


async def test_picture_that_ends_its_decoder_fails_and_its_neighbours_succeed(fleet: Fleet) -> None:
    workers = [fleet.start_faulty_worker(**FAULT) for _ in range(2)]
    healthy = [picture(seed, (48, 32)) for seed in range(12)]
    job_id = await fleet.submit(pictures=[*healthy[:6], picture(99, (48, 32)) + SPOILT, *healthy[6:]])
    job = await fleet.until_finished(job_id, timeout=90)
    assert job.counts == Counts(succeeded=12, failed=1)
    assert failed_codes(job) == ["worker_crashed"]
    assert len(fleet.submissions_of(job)) == 12
    # it ended one worker, before anybody knew; then only the process of suspects, five times
    logs = "".join(worker.log.read_text() for worker in workers)
    assert logs.count('"event": "decoder_died"') == 5
    assert "SIGKILL ended it" in logs
    alive = [worker for worker in workers if not worker.ended]
    assert len(alive) == 1


async def test_healthy_pictures_outlive_a_storm_of_kills(fleet: Fleet) -> None:
    pictures = [picture(seed, (1200, 900)) for seed in range(8)] * 5
    job_id = await fleet.submit(pictures=pictures)
    workers = [fleet.start_worker(I2M_UNCONFIRMED_GRACE="5") for _ in range(2)]
    for turn in range(8):
        victim = workers[turn % 2]

        async def is_at_it(victim=victim) -> bool:  # type: ignore[no-untyped-def]
            return "worker ready" in victim.log.read_text()

        await until(is_at_it)
        await asyncio.sleep(0.3)  # at any moment of its work
        victim.send(signal.SIGKILL)
        await victim.exit_code()
        workers[turn % 2] = fleet.start_worker(I2M_UNCONFIRMED_GRACE="5")
    job = await fleet.until_finished(job_id, timeout=120)
    assert set(failed_codes(job)) <= {"submission_unconfirmed"}
    assert job.counts.succeeded + job.counts.failed == 40
