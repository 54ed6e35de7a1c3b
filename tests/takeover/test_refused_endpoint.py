"""An endpoint is refused while workers of the revision before are left, who know nothing of endpoints."""

import signal
from pathlib import Path

import pytest

from image2model.domain import Counts, WaitingFor
from image2model.queue import fleet as fleet_store
from image2model.store.connection import connect
from image2model.store.keys import key
from tests.support.circuits import open_circuits
from tests.support.fleet import Fleet, fleet_on
from tests.support.keys import keys_without_ttl
from tests.support.wait import until
from tests.takeover.revision import OLD, sources_of

BAD = "fal-ai/trellis"


async def _workers(fleet: Fleet, count: int) -> None:
    async def beating() -> bool:
        return len((await fleet_store.read(fleet.redis)).workers) == count

    await until(beating, timeout=30)


async def _old_names(redis_url: str) -> None:
    """Until an old worker has begun the store: a client that comes before would take it for a new one."""

    async def begun() -> bool:
        return bool(await redis.exists(key("workers").plain))

    async with connect(redis_url) as redis:
        await until(begun, timeout=30)


async def _waiting(fleet: Fleet) -> bool:
    """Whether the one endpoint's circuit is open, and pictures wait for it."""
    return [state.model for state in await open_circuits(fleet.redis) if state.waiting] == [BAD]


@pytest.mark.long
async def test_pictures_that_wait_for_an_endpoint_are_left_alone_by_older_workers(
    redis_url: str, tmp_path: Path
) -> None:
    old = {"PYTHONPATH": str(sources_of(OLD, tmp_path / "old"))}
    async with fleet_on(redis_url, tmp_path) as fleet:
        fleet.emulator.fault("endpoint_403", rate=1, endpoint=BAD)
        first = fleet.start_worker(**old)
        await _old_names(redis_url)
        await _workers(fleet, 1)
        first.send(signal.SIGSTOP)  # so that it is not the one that asks FAL
        fleet.start_paced_worker(6, 6)
        refused = await fleet.submit(6, model=BAD)
        await until(lambda: _waiting(fleet), timeout=30)
        # the older ones have no word for it, and would take any other back
        assert (await fleet.job(refused)).job.waiting_for is not WaitingFor.ENDPOINT
        first.send(signal.SIGCONT)
        fleet.start_worker(**old)  # it compares the queue with the hashes when it starts
        await _workers(fleet, 3)
        fleet.emulator.http.delete("/_emulator/faults")
        job = await fleet.until_finished(refused)
        assert job.counts == Counts(succeeded=6)
        assert len(fleet.submissions_of(job)) == 6
        assert await keys_without_ttl(fleet.redis) == []
