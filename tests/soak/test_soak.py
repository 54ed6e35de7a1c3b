"""A soak of two minutes with real processes: everything is asked for and read, and no task stays behind.

What grows is not judged here: memory settles only after some minutes, and a busy machine falls behind.
"""

import tempfile
from pathlib import Path

import pytest

from tests.soak import plot
from tests.soak.driver import run
from tests.soak.verdict import judge
from tests.soak.world import Size

READ = {
    "api": {"memory", "handles", "threads", "tasks"},
    "worker": {"memory", "handles", "threads", "tasks"},
    "store": {"memory", "handles", "threads", "data", "keys"},
    "emulator": {"memory", "handles", "threads", "tasks"},
}


@pytest.mark.long
@pytest.mark.timeout(600)  # a busy machine takes its time
async def test_short_soak_asks_for_everything_and_keeps_no_task() -> None:
    size = Size(minutes=2, rate=100, settle=0.5, every=2, latency=0.3, retention=10)
    with tempfile.TemporaryDirectory(prefix="i2m-soak-") as folder:
        path = Path(folder) / "soak.json"
        record = await run(Path(folder), size, path)
        assert path.exists()
    assert not record.faults
    assert {process: set(series) for process, series in record.series.items()} == READ
    assert all(record.counts[what] for what in ("images retried", "jobs deleted", "polls", "downloads"))
    assert plot.draw(record, judge(record)).count("<polyline") == sum(map(len, READ.values()))
