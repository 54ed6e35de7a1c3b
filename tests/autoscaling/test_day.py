"""The generated day is the one that is described, and the same for the same seed."""

import pytest

from tests.autoscaling.day import DAY_S, HOUR_S, LEAST, MOST, images_an_hour, total, uploads


def test_day_goes_from_ten_to_three_thousand_images_an_hour() -> None:
    rates = [images_an_hour(minute * 60) for minute in range(24 * 60 + 1)]
    assert (LEAST, MOST) == (min(rates), max(rates)) == (10, 3000)
    assert max(rates[: 6 * 60]) <= 200 < min(rates[9 * 60 : 17 * 60])


@pytest.mark.parametrize("one_in", [1, 20])
def test_uploads_follow_the_curve(one_in: int) -> None:
    day = list(uploads(3, one_in))
    assert [one.at for one in day] == sorted(one.at for one in day)
    assert day[0].at >= 0
    assert day[-1].at < DAY_S
    images = sum(one.files for one in day)
    assert abs(images * one_in / total() - 1) < 0.1
    peak = sum(one.files for one in day if 9.5 <= one.at / HOUR_S < 10.5)
    assert 2400 < peak * one_in < 3500
    assert day[1].seed == day[0].files


def test_seed_makes_the_day() -> None:
    assert list(uploads(1, 20)) == list(uploads(1, 20)) != list(uploads(2, 20))
