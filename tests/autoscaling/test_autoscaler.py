"""The rules are those of the shipped files, and the decisions those that Kubernetes documents."""

import msgspec
import pytest

from tests.autoscaling.autoscaler import Autoscaler, proposal
from tests.autoscaling.day import HOUR_S
from tests.autoscaling.scaled_object import Behaviour, Clock, Policy, rules

NIGHT, DAY = 2 * HOUR_S, 12 * HOUR_S


def test_rules_are_those_of_the_scaled_object() -> None:
    found = rules()
    assert (found.minimum, found.maximum, found.threshold, found.polling) == (3, 10, 100, 15)
    assert (found.idle, found.clock, found.grace) == (None, None, 30)
    assert found.up == Behaviour(0, (Policy(4, 30),))
    assert found.down == Behaviour(600, (Policy(1, 60),))
    assert "image2model_unfinished_images" in found.query
    nights = rules(nights=True)
    assert (nights.idle, nights.cooldown, nights.clock) == (0, 900, Clock(6, 22, 3))
    assert nights.query == found.query


@pytest.mark.parametrize(
    ("value", "replicas", "asked"),
    [(0, 3, 0), (301, 3, 3), (329, 3, 3), (331, 3, 4), (270, 3, 3), (269, 3, 3), (150, 3, 2), (1, 0, 1)],
)
def test_proposal_is_the_ceiling_but_for_the_tolerance(value: float, replicas: int, asked: int) -> None:
    assert proposal(value, 100, replicas) == asked


def test_up_at_most_four_in_half_a_minute_and_no_further_than_the_maximum() -> None:
    scaler = Autoscaler(rules())
    assert scaler.decide(DAY, 2000, 3) == 7
    assert scaler.decide(DAY + 15, 2000, 7) == 7
    assert scaler.decide(DAY + 31, 2000, 7) == 10
    assert scaler.decide(DAY + 62, 2000, 10) == 10


def test_down_only_after_the_window_and_one_each_minute() -> None:
    scaler = Autoscaler(rules())
    scaler.decide(DAY, 1000, 10)
    assert scaler.decide(DAY + 590, 0, 10) == 10
    assert scaler.decide(DAY + 615, 0, 10) == 9
    assert scaler.decide(DAY + 630, 0, 9) == 9
    assert scaler.decide(DAY + 676, 0, 9) == 8
    assert scaler.decide(DAY + 5000, 0, 3) == 3, "the minimum stays"


def test_missing_value_keeps_what_there_is_and_never_less_than_the_fallback() -> None:
    scaler = Autoscaler(rules(nights=True))
    assert [scaler.decide(DAY + at, None, 8) for at in (0, 15, 30)] == [8, 8, 8]
    assert scaler.decide(DAY + 45, None, 0) == 3
    scaler = Autoscaler(rules(nights=True))
    assert [scaler.decide(NIGHT + at, None, 0) for at in (0, 15, 30)] == [0, 0, 3]


def test_nights_end_with_work_or_with_the_morning() -> None:
    scaler = Autoscaler(rules(nights=True))
    assert scaler.decide(NIGHT, 1, 3) == 3
    assert scaler.decide(NIGHT + 899, 0, 3) == 3
    assert scaler.decide(NIGHT + 900, 0, 3) == 0
    assert scaler.decide(NIGHT + 915, 0, 0) == 0
    assert scaler.decide(NIGHT + 930, 1, 0) == 3
    assert scaler.decide(NIGHT + 1830, 0, 3) == 0
    assert scaler.decide(6 * HOUR_S, 0, 0) == 3
    assert scaler.decide(22 * HOUR_S - 1, 0, 3) == 3
    assert scaler.decide(22 * HOUR_S + 900, 0, 3) == 0


def test_without_idle_replicas_the_minimum_stays() -> None:
    without = msgspec.structs.replace(rules(nights=True), idle=None)
    assert Autoscaler(without).decide(NIGHT + 10_000, 0, 3) == 3
