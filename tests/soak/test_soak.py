"""A soak of two minutes with real processes: everything is asked for and read, and nothing leaks by the job.

Memory is not judged here: it settles only after some minutes.
"""

import tempfile
from pathlib import Path

import pytest

from tests.soak import plot
from tests.soak.driver import run
from tests.soak.verdict import growth, judge
from tests.soak.world import Size

READ = {
    "api": {"memory", "handles", "threads", "tasks"},
    "worker": {"memory", "handles", "threads", "tasks"},
    "store": {"memory", "handles", "threads", "data", "keys"},
    "emulator": {"memory", "handles", "threads", "tasks"},
}


@pytest.mark.long
@pytest.mark.timeout(500)  # a busy machine takes its time
async def test_short_soak_asks_for_everything_and_leaks_no_task() -> None:
    size = Size(minutes=2.5, rate=120, settle=1, every=2, latency=0.3, retention=10)
    with tempfile.TemporaryDirectory(prefix="i2m-soak-") as folder:
        path = Path(folder) / "soak.json"
        record = await run(Path(folder), size, path)
        assert path.exists()
    assert not record.faults
    assert {process: set(series) for process, series in record.series.items()} == READ
    assert all(record.counts[what] for what in ("images retried", "jobs deleted", "polls", "downloads"))
    settled = sum(second < size.settle * 60 for second in record.seconds)
    for process in ("api", "worker", "emulator"):
        tasks = growth(process, "tasks", record.series[process]["tasks"][settled:], 0.2)
        assert tasks.flat, tasks.sentence()
    assert plot.draw(record, judge(record)).count("<polyline") == sum(map(len, READ.values()))
