"""The verdict on recorded runs: bursts are no growth, a leak is, and a run without its load shows nothing."""

from collections.abc import Sequence

import msgspec
import pytest

from tests.soak import plot
from tests.soak.readings import Record
from tests.soak.verdict import PARTS, growth, judge
from tests.soak.world import Size

TASKS = 3 * (
    *(28, 40, 26, 82, 26, 47, 26, 80, 26, 26, 72, 26, 61, 26, 80, 26, 73, 57, 92, 72, 29, 88, 30, 34, 26, 64),
    *(26, 61, 26, 91, 26, 28, 86, 28, 65, 84, 28, 51, 84, 30),
)
"""A worker's tasks, one reading each 5 s at 150 images a minute: up and down with every batch. Thrice."""
LEAKING = (
    *(79.03, 79.12, 79.37, 79.39, 79.6, 79.61, 79.7, 79.72, 79.73, 79.81, 79.88, 79.89, 79.91, 79.93, 79.93),
    *(79.96, 80.01, 80.02, 80.04, 80.34, 80.6, 80.6, 80.61, 80.61, 80.61, 80.61, 80.62, 80.63, 80.63, 80.63),
    *(80.8, 80.8, 80.82, 80.83, 80.83, 80.83, 80.84, 80.84, 80.84, 80.84, 81.12, 81.14, 81.25, 81.26, 81.27),
    *(81.27, 81.27, 81.27, 81.27, 81.4, 81.4, 81.48, 81.52, 81.52, 81.53, 81.53, 81.54, 81.54, 81.54, 81.55),
)
"""An API's memory in MiB, one reading each 5 s, while its cache of documents had no bound by time."""
COUNTS = {"images": 1000, "jobs streamed": 9, "polls": 99, "images retried": 9, "jobs deleted": 9}


def record(**series: Sequence[float]) -> Record:
    """A run of five minutes that is settled after one, with these series of a worker."""
    length = max(map(len, series.values()))
    return Record(
        size=Size(minutes=5, rate=200, settle=1),
        machine="a machine",
        seconds=[60.0 + 5 * number for number in range(length)],
        load=[1.0] * length,
        series={"worker": {what: list(values) for what, values in series.items()}},
        counts=dict(COUNTS),
    )


def stretched(values: Sequence[float], minutes: float) -> list[float]:
    """The same rise, from the same beginning, gone on for so long."""
    rise = (values[-1] - values[0]) / (len(values) * 5)
    return [values[0] + rise * second for second in range(0, int(minutes * 60), 5)]


def test_bursts_of_load_are_flat() -> None:
    verdict = judge(record(tasks=TASKS))
    assert not verdict.broken
    assert verdict.growths[0].floors == pytest.approx([26] * PARTS, abs=2)


def test_tasks_that_leak_under_bursts_are_found() -> None:
    """One for each batch, so that the leak is smaller than a burst."""
    verdict = judge(record(tasks=[value + number / 10 for number, value in enumerate(TASKS)]))
    (sentence,) = verdict.broken
    assert "worker tasks" in sentence


def test_a_recorded_leak_of_memory_is_found_within_half_an_hour() -> None:
    grown = growth("api", "memory", stretched(LEAKING, 25), 0.05)
    assert not grown.flat
    assert grown.rise > 0.1


def test_a_leak_that_memory_given_back_hides_is_found() -> None:
    values = [120 + number / 20 - (15 if number > 100 else 0) for number in range(400)]
    grown = growth("api", "memory", values, 0.05)
    assert grown.floors[-1] == pytest.approx(grown.floors[0], rel=0.05)
    assert not grown.flat


def test_memory_that_falls_is_flat() -> None:
    assert growth("api", "memory", [100 - number / 10 for number in range(100)], 0.05).flat


def test_one_thread_more_is_flat_and_many_are_not() -> None:
    assert growth("api", "threads", [9] * 50 + [10] * 50, 0.05).flat
    assert not growth("api", "threads", [9] * 50 + [35] * 50, 0.05).flat


def test_the_settling_time_does_not_count() -> None:
    run = record(memory=[50.0 + number for number in range(12)] + [80.0] * 40)
    run.seconds = [5.0 * number for number in range(52)]
    assert not judge(run).broken


@pytest.mark.parametrize("missing", sorted(COUNTS))
def test_a_run_without_its_load_is_broken(missing: str) -> None:
    run = record(tasks=TASKS)
    run.counts[missing] = 0
    assert judge(run).broken


def test_a_run_that_is_too_short_is_broken() -> None:
    assert judge(record(tasks=TASKS[: PARTS * 4 - 1])).broken


def test_faults_of_the_run_are_broken_promises() -> None:
    run = record(tasks=TASKS)
    run.faults.append("the reader stopped although the run went on")
    assert judge(run).broken == run.faults


def test_a_kept_record_is_judged_and_drawn_alike() -> None:
    run = record(tasks=TASKS, memory=LEAKING * 2)
    again = msgspec.json.decode(msgspec.json.encode(run), type=Record)
    assert judge(again) == judge(run)
    picture = plot.draw(again, judge(again))
    assert picture.count("<polyline") == 2
    assert "worker: memory (MiB)" in picture
