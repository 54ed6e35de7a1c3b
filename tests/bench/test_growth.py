"""Where the cost of an image begins to grow with the images before it, and how that is drawn."""

import re
import sys

import pytest

from tests.bench import __main__, growth
from tests.bench.plot import Series, draw


def test_each_step_has_the_cost_of_its_own_images() -> None:
    assert growth.each({100: 200.0, 1_000: 2_000.0, 3_000: 8_000.0}) == {100: 2.0, 1_000: 2.0, 3_000: 3.0}


@pytest.mark.parametrize(
    ("total", "bend"),
    [
        ({100: 200.0, 1_000: 2_000.0, 10_000: 20_000.0}, None),
        ({100: 300.0, 1_000: 2_000.0, 10_000: 20_000.0}, None),
        ({100: 200.0, 1_000: 2_170.0, 10_000: 22_000.0}, None),
        ({100: 200.0, 1_000: 2_190.0, 10_000: 22_000.0}, 1_000),
        ({100: 200.0, 1_000: 2_000.0, 10_000: 30_000.0}, 10_000),
        ({100: 200.0}, None),
    ],
    ids=["straight", "a dear start", "under a tenth", "over a tenth", "the last step", "one point"],
)
def test_a_bend_is_where_an_image_costs_a_tenth_more_than_those_before(
    total: dict[int, float], bend: int | None
) -> None:
    assert growth.first_bend(total) == bend


def test_each_tenfold_is_as_wide_as_the_next() -> None:
    series = Series("x", {100: 1.0, 1_000: 1.0, 10_000: 2.0}, log=True)
    assert [series.across(x) for x in series.points] == pytest.approx([0.0, 0.5, 1.0])


def test_panels_wrap_into_rows() -> None:
    drawn = draw(*[Series(f"s{number}", {1: 1.0, 2: 2.0}) for number in range(4)], columns=3)
    assert 'width="1260" height="600"' in drawn
    assert re.findall(r"translate\((\S+) (\S+)\)", drawn) == [
        ("0", "0"),
        ("420", "0"),
        ("840", "0"),
        ("0", "300"),
    ]


@pytest.mark.parametrize("only", [[], ["--only", "thousand"], ["--only", "growth", "--only", "idle"]])
def test_only_growth_can_be_whole(only: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--whole", *only])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 2
