"""What `make bench BESIDE=REV` calls slower."""

import math
from typing import Literal

import pytest

from tests.bench.verdict import compare

Better = Literal["lower", "higher"]


def test_the_medians_are_compared_and_not_the_best_or_the_mean() -> None:
    verdict = compare("x", "s", "lower", [3.0, 1.0, 2.2], [2.0, 9.0, 1.9])
    assert (verdict.here, verdict.there) == (2.2, 2.0)
    assert verdict.ratio == verdict.slower_by + 1 == pytest.approx(1.1)


def test_a_spread_is_the_distance_of_a_revisions_own_runs() -> None:
    verdict = compare("x", "s", "lower", [5.0, 1.0, 9.0], [1.9, 2.1, 2.0])
    assert verdict.spread == pytest.approx(0.1)
    assert verdict.spread_here == pytest.approx(1.6)


@pytest.mark.parametrize(
    ("better", "here", "there", "slower"),
    [
        ("lower", [1.04] * 3, [1.0] * 3, False),
        ("lower", [1.06] * 3, [1.0] * 3, True),
        ("lower", [0.5] * 3, [1.0] * 3, False),
        ("lower", [1.06] * 3, [1.0, 0.95, 1.05], False),
        ("lower", [1.15] * 3, [1.0, 0.95, 1.05], True),
        ("higher", [96.0] * 3, [100.0] * 3, False),
        ("higher", [94.0] * 3, [100.0] * 3, True),
        ("higher", [200.0] * 3, [100.0] * 3, False),
        ("higher", [94.0] * 3, [100.0, 90.0, 105.0], False),
        ("higher", [80.0] * 3, [100.0, 90.0, 105.0], True),
    ],
)
def test_slower_is_more_than_five_percent_and_more_than_the_spread(
    better: Better, here: list[float], there: list[float], slower: bool
) -> None:
    assert compare("x", "s", better, here, there).slower is slower


def test_half_as_many_a_second_is_twice_as_slow() -> None:
    verdict = compare("x", "req/s", "higher", [50.0] * 3, [100.0] * 3)
    assert (verdict.ratio, verdict.slower_by) == (0.5, 1.0)


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_nothing_beside_nothing_is_equal(better: Better) -> None:
    verdict = compare("lost", "events", better, [0.0] * 3, [0.0] * 3)
    assert (verdict.ratio, verdict.slower_by, verdict.spread, verdict.slower) == (1.0, 0.0, 0.0, False)


def test_something_beside_nothing_is_slower_without_a_bound() -> None:
    verdict = compare("lost", "events", "lower", [2.0] * 3, [0.0] * 3)
    assert verdict.slower
    assert verdict.slower_by == math.inf
