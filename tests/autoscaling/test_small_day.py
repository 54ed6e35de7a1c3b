"""A night and an early morning with real processes: workers come and go, and nothing is lost."""

import tempfile
from pathlib import Path

import pytest

from tests.autoscaling.driver import run
from tests.autoscaling.record import Size
from tests.autoscaling.verdict import judge


@pytest.mark.long
@pytest.mark.timeout(600)  # a busy machine takes its time
async def test_small_day_starts_and_stops_workers_and_loses_nothing() -> None:
    size = Size(minutes=2, until=7, nights=True)
    with tempfile.TemporaryDirectory(prefix="i2m-autoscaling-") as folder:
        record = await run(Path(folder), size)
    verdict = judge(record)
    assert not verdict.broken
    wanted = {one.wanted for one in record.readings}
    assert {0, 3} <= wanted
    assert record.starts > 3, "they were stopped in the night and started again"
    assert any(one.busy for one in record.readings)
