"""A worker is replaced after so many images or with so much memory, and lets go of nothing."""

import asyncio
import time

import msgspec
import pytest

from image2model.errors import ConfigurationError
from image2model.queue import fleet as workers
from image2model.settings import load
from image2model.worker.recycling import Recycling, memory_bytes
from tests.support.fleet import Fleet
from tests.support.service_process import ServiceProcess


async def supervised(fleet: Fleet, **settings: str) -> list[ServiceProcess]:
    """One worker after the other, as a supervisor starts them, until cancelled. The ends must be in order."""
    started = []
    try:
        while True:
            started.append(fleet.start_worker(**settings))
            assert await started[-1].exit_code(timeout=120) == 0, started[-1].log.read_text()[-2000:]
    except asyncio.CancelledError:
        return started


@pytest.mark.long
async def test_batch_goes_through_replacements_once_and_whole(fleet: Fleet) -> None:
    job_id = await fleet.submit(30)
    running = asyncio.create_task(supervised(fleet, I2M_WORKER_MAX_IMAGES="4", I2M_WORKER_CONCURRENCY="3"))
    ended = await fleet.until_finished(job_id, timeout=120)
    running.cancel()
    processes = await running
    assert ended.counts.succeeded == 30
    assert len(fleet.submissions_of(ended)) == 30
    assert {image.attempt for image in ended.images} == {1}
    assert len(processes) >= 3  # each also ends the few that it had when it was due
    logs = [process.log.read_text() for process in processes]
    assert sum('"worker_recycled"' in log for log in logs) >= 2
    assert not any('"leases_expired"' in log or '"unexpected_error"' in log for log in logs)
    assert (await workers.read(fleet.redis)).workers_lost == 0


@pytest.mark.long
async def test_image_that_fal_has_for_long_is_handed_over(fleet: Fleet) -> None:
    """It is not waited for longer than a stop may take."""
    fleet.emulator.settings(latency=8.0)
    slow = await fleet.submit()
    settings = {"I2M_WORKER_MAX_IMAGES": "1", "I2M_SHUTDOWN_GRACE": "1"}
    first = fleet.start_worker(**settings)
    await fleet.until(slow, lambda job: job.counts.submitted + job.counts.generating == 1)
    fleet.emulator.settings(latency=0.1)
    quick = await fleet.submit()
    await fleet.until_finished(quick)
    assert await first.exit_code() == 0
    assert (await fleet.job(slow)).counts.unfinished == 1
    fleet.start_worker()
    ended = await fleet.until_finished(slow)
    assert ended.counts.succeeded == 1
    assert len(fleet.submissions_of(ended)) == 1


async def test_memory_counts_once_the_process_has_run_for_a_while() -> None:
    settings = msgspec.structs.replace(load({}), worker_max_memory=1)
    async with asyncio.timeout(60):
        assert (await Recycling(settings, least_run_s=0).due())["memory"] > 1
    began = time.monotonic()
    async with asyncio.timeout(60):
        await Recycling(settings, least_run_s=0.5).due()
    assert time.monotonic() - began >= 0.5
    assert memory_bytes() > 10_000_000


async def test_without_bounds_it_is_never_due() -> None:
    recycling = Recycling(load({}))
    waiting = asyncio.create_task(recycling.due())
    for _ in range(1000):
        recycling.note_end()
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


def test_bound_below_what_a_new_worker_needs_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="I2M_WORKER_MAX_MEMORY: must be at least 256MiB"):
        load({"I2M_WORKER_MAX_MEMORY": "100MiB"})
