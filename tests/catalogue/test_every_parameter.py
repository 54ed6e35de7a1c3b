"""Every endpoint on offer runs, with each of its parameters in the JSON type that FAL's document names."""

import random

import pytest

from tests.catalogue.every_parameter import run_every_parameter


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_endpoint_runs_with_each_of_its_parameters() -> None:
    seed = random.randrange(1 << 30)
    rows = run_every_parameter(seed)
    wrong = [f"{row.model} {one}" for row in rows for one in row.wrong]
    assert not wrong, f"draw {seed}: {wrong[:20]}"
    runnable = [row for row in rows if not row.needs]
    assert len(runnable) >= 25
    assert all(row.runs for row in runnable)
