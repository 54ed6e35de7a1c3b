"""The table of altered results, with the real processes: never a lost model, an endless loop or a wrong cost.

Each case is run as a first upload, then by reuse where it succeeded and by retry where it failed.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.results.conduct import Run
from tests.results.table import SINGLES, Case, every_pair, name_of, some_pairs
from tests.results.world import world_on
from tests.support.altering import Alteration, StatusChange
from tests.support.keys import keys_without_ttl

TABLES = [
    pytest.param("mirror", SINGLES, id="singles-mirror", marks=pytest.mark.long),
    pytest.param("redirect", SINGLES, id="singles-redirect", marks=pytest.mark.long),
    pytest.param("mirror", some_pairs(0), id="pairs-mirror", marks=pytest.mark.long),
    pytest.param("redirect", some_pairs(1), id="pairs-redirect", marks=pytest.mark.long),
]


@pytest.mark.long
@pytest.mark.parametrize(("results", "table"), TABLES)
async def test_no_altered_result_loses_a_model_or_its_cost(
    redis_url: str, tmp_path: Path, results: str, table: Sequence[Case]
) -> None:
    async with world_on(redis_url, tmp_path, results) as world:
        wrong = await Run(world, table, seconds=60).all()

        assert not wrong, "\n".join(wrong)
        assert await keys_without_ttl(world.redis) == []


@pytest.mark.long
async def test_a_status_that_never_ends_is_settled_after_the_timeout(redis_url: str, tmp_path: Path) -> None:
    """FAL says to the cancel that it has completed: the result is there, and so is the model."""
    never = StatusChange(lambda status: {**status, "status": "IN_PROGRESS"})
    async with world_on(redis_url, tmp_path, "mirror", I2M_TASK_TIMEOUT="3") as world:
        assert await Run(world, [(Alteration("in_progress_for_good", status=never),)], seconds=60).all() == []


def test_the_table_is_as_wide_as_it_says() -> None:
    names = [name_of(case) for case in SINGLES]
    paired = {one.name for turn in (0, 1) for pair in some_pairs(turn) for one in pair}

    assert len(names) == len(set(names)) > 100
    assert paired == set(names) - {"unaltered"}
    assert len({name_of(pair) for pair in every_pair()}) > 4000
