"""A day on which something was lost, bought twice or expired is noticed; and what is drawn of it."""

import msgspec
import pytest

from tests.autoscaling.plot import plot
from tests.autoscaling.record import Image, Reading, Record, Size
from tests.autoscaling.verdict import EXPIRED, fal_alone, judge, worker_hours

MADE = Image(40_000.0, "succeeded", "", 0.5, 1)


def reading(at: float, living: int, busy: int, in_hand: int, value: float | None = 60.0) -> Reading:
    return Reading(at, value, living, living, living, busy, in_hand, 1.5)


def record(*images: Image) -> Record:
    return Record(
        size=Size(),
        machine="a machine",
        slots=5,
        readings=[reading(0, 3, 0, 0), reading(3600, 3, 2, 6), reading(7200, 4, 4, 9, None)],
        images=[MADE, *images],
        uploads=[(39_999.0, 2)],
    )


def test_day_on_which_all_went_well() -> None:
    verdict = judge(record(msgspec.structs.replace(MADE, wait=1.0)))
    assert verdict.broken == []
    assert verdict.figures["lost, bought twice, expired"] == "0, 0, 0"
    assert verdict.figures["longest from 202 to FAL's submit"] == "1.0 s, which is 4 min of the day"
    assert verdict.figures["polls, those without a value"] == "3, 1"


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (msgspec.structs.replace(MADE, submissions=2), "more than once"),
        (msgspec.structs.replace(MADE, status="failed", code=EXPIRED), "1 results expired"),
        (msgspec.structs.replace(MADE, status="queued", wait=None, submissions=0), "have no model"),
        (msgspec.structs.replace(MADE, submissions=0), "ledger does not know"),
    ],
)
def test_what_went_wrong_is_said(image: Image, said: str) -> None:
    (*broken,) = judge(record(image)).broken
    assert any(said in sentence for sentence in broken)


def test_faults_of_the_run_and_empty_records_are_broken() -> None:
    assert judge(msgspec.structs.replace(record(), faults=["a worker died"])).broken == ["a worker died"]
    assert judge(msgspec.structs.replace(record(), images=[])).broken


def test_worker_hours_are_those_between_the_readings() -> None:
    hours, idle, filled = worker_hours(record())
    assert (hours, idle) == (6.0, 4.0)
    assert filled == pytest.approx(6 / 30)


def test_wait_by_fal_alone_is_that_of_the_last_in_the_line() -> None:
    ten_images = msgspec.structs.replace(record(), uploads=[(100.0, 5), (101.0, 5)])
    assert fal_alone(ten_images) == 239.0, "four run at once, the next four, and two at 340 s"


def test_picture_has_every_line() -> None:
    drawn = plot(record())
    assert drawn.count("<polyline") == 5
    assert "a machine" in drawn
