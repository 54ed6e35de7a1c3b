"""The primary of the store dies under load: Sentinel names another, and nothing is lost or bought twice."""

from pathlib import Path

import pytest

from image2model.domain import Counts
from tests.support.fleet import at_fal, fleet_on
from tests.support.ports import free_ports
from tests.support.replication import replicated


@pytest.mark.long
async def test_failover_loses_no_picture_and_buys_none_twice(tmp_path: Path) -> None:
    one, other, sentinel = free_ports(3)
    with replicated(tmp_path, (one, other, sentinel)) as pair:
        pair.start()
        async with fleet_on(pair.url, tmp_path) as fleet:
            fleet.emulator.settings(latency=3)
            fleet.start_worker(I2M_MAX_CONCURRENT="8")
            job_id = await fleet.submit(12)
            await fleet.until(job_id, lambda job: at_fal(job) == 8)
            pair.kill_primary()
            job = await fleet.until_finished(job_id, timeout=60)
            assert job.counts == Counts(succeeded=12)
            assert len(fleet.submissions_of(job)) == 12
