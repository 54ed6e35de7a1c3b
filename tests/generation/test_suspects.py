"""Pictures that end the process which decodes them, and healthy ones in workers that are killed."""

import asyncio
import signal

import pytest

from image2model.decoding.process import LONGEST_S
from image2model.domain import Counts
from image2model.store.keys import key
from tests.support.faulty_worker import SPOILT
from tests.support.fleet import Fleet, failed_codes
from tests.support.gate import Hold
from tests.support.service_process import ServiceProcess
from tests.support.sketches import picture
from tests.support.stage import Stage
from tests.support.wait import until

pytestmark = pytest.mark.long

FAULT = {"FAULT_STEP": "prepare", "FAULT_KIND": "kill"}


def spoilt(seed: int) -> bytes:
    """A picture that ends the process which decodes it."""
    return picture(seed, (48, 32)) + SPOILT


def uploads_held(stage: Stage, most: int) -> list[Hold]:
    """So many uploads wait: no picture comes as far as its POST, where a death would leave it in doubt."""
    return [stage.fal.hold(lambda message: b" /files/upload " in message, answer=False) for _ in range(most)]


async def first_death(workers: list[ServiceProcess]) -> None:
    """Wait until one of them is gone."""

    async def is_over() -> bool:
        return any(worker.ended for worker in workers)

    await until(is_over)


async def test_picture_that_ends_its_decoder_fails_and_its_neighbours_succeed(stage: Stage) -> None:
    fleet = stage.fleet
    healthy = [picture(seed, (48, 32)) for seed in range(12)]
    holds = uploads_held(stage, len(healthy))
    workers = [fleet.start_faulty_worker(**FAULT, **stage.settings()) for _ in range(2)]
    job_id = await fleet.submit(pictures=[*healthy[:6], spoilt(99), *healthy[6:]])
    await first_death(workers)
    for hold in holds:
        hold.release()
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


async def test_picture_that_hangs_fails_and_its_neighbours_succeed(fleet: Fleet) -> None:
    worker = fleet.start_faulty_worker(FAULT_STEP="prepare", FAULT_KIND="hang", FAULT_LONGEST="5")
    job_id = await fleet.submit(pictures=[spoilt(99), *(picture(seed, (48, 32)) for seed in range(6))])
    job = await fleet.until_finished(job_id, timeout=120)
    assert job.counts == Counts(succeeded=6, failed=1)
    assert failed_codes(job) == ["worker_crashed"]
    assert len(fleet.submissions_of(job)) == 6
    assert worker.log.read_text().count("no end after 5 s in a thread") == 1
    assert not worker.ended


async def test_suspects_of_two_jobs_fail_and_all_neighbours_succeed(stage: Stage) -> None:
    fleet = stage.fleet
    holds = uploads_held(stage, 3 * 12)
    for _ in range(3):
        fleet.start_faulty_worker(**FAULT, **stage.settings())
    pictures = [[picture(10 * job + seed, (48, 32)) for seed in range(6)] for job in range(2)]
    jobs = [
        await fleet.submit(pictures=[*some[:2], spoilt(99 + number), *some[2:]], owner=f"owner-{number}")
        for number, some in enumerate(pictures)
    ]
    guilty = [(await fleet.job(job_id)).images[2].image_id for job_id in jobs]

    async def are_known() -> bool:
        deaths = [await fleet.redis.hget(key("image", image_id), "hazard_deaths") for image_id in guilty]
        return all(int(count or 0) for count in deaths)

    await until(are_known, timeout=60)
    for hold in holds:
        hold.release()
    for job_id in jobs:
        job = await fleet.until_finished(job_id, timeout=120)
        assert set(failed_codes(job)) == {"worker_crashed"}
        assert job.counts == Counts(succeeded=6, failed=1)


async def test_suspects_that_hang_hold_up_no_healthy_picture(fleet: Fleet) -> None:
    suspects = [spoilt(seed) for seed in range(90, 94)]
    job_id = await fleet.submit(pictures=[*suspects, *(picture(seed, (48, 32)) for seed in range(6))])
    for image in (await fleet.job(job_id)).images[: len(suspects)]:
        await fleet.redis.hset(key("image", image.image_id), "hazard_deaths", "1")
    fleet.start_faulty_worker(FAULT_STEP="prepare", FAULT_KIND="hang")
    job = await fleet.until(job_id, lambda job: job.counts.succeeded == 6, timeout=0.9 * LONGEST_S)
    assert job.counts.preparing == len(suspects)


async def test_healthy_pictures_outlive_a_storm_of_kills(fleet: Fleet) -> None:
    pictures = [picture(seed, (1200, 900)) for seed in range(8)] * 5
    job_id = await fleet.submit(pictures=pictures)
    workers = [fleet.start_worker(I2M_UNCONFIRMED_GRACE="5") for _ in range(2)]
    for turn in range(8):
        victim = workers[turn % 2]

        async def is_at_it(victim=victim) -> bool:  # type: ignore[no-untyped-def]
            return "worker_ready" in victim.log.read_text()

        await until(is_at_it)
        await asyncio.sleep(0.3)  # at any moment of its work
        victim.send(signal.SIGKILL)
        await victim.exit_code()
        workers[turn % 2] = fleet.start_worker(I2M_UNCONFIRMED_GRACE="5")
    job = await fleet.until_finished(job_id, timeout=120)
    assert set(failed_codes(job)) <= {"submission_unconfirmed"}
    assert job.counts.succeeded + job.counts.failed == 40
