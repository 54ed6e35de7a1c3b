"""A short run of the chaos suite, with a seed of its own each time: the seed is in the failure."""

import secrets
import tempfile
from pathlib import Path

import pytest

from tests.chaos.driver import run
from tests.chaos.world import Size


@pytest.mark.long
@pytest.mark.timeout(400)  # a busy machine takes its time
async def test_chaos_loses_no_picture_and_buys_none_twice() -> None:
    seed = secrets.randbelow(1_000_000)
    size = Size(
        images=200,
        workers=2,
        apis=2,
        kills=5,
        patience=8,
        seed=seed,
        duration=11,
        latency=0.7,
        lease=2,
        grace=4,
        drain=60,
        # a reply that never comes is awaited for a minute, a file for half of one
        without=frozenset({"hang", "file_stuck", "file_slow"}),
    )
    with tempfile.TemporaryDirectory(prefix="i2m-chaos-") as folder:
        verdict = await run(Path(folder), size)
    assert not verdict.broken, f"python -m tests.chaos --seed {seed}\n{verdict.table()}"
