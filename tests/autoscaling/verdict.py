"""Judges the record of a day: nothing lost, nothing bought twice, nothing expired; and its figures.

Who calls it: the command line and the tests. Pure: the same record gives the same verdict.
"""

import heapq
from collections import Counter
from itertools import pairwise
from statistics import median
from typing import Final

import msgspec

from tests.autoscaling.day import HOUR_S
from tests.autoscaling.record import Record

EXPIRED: Final = "result_expired"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`broken`: a sentence for each promise that was not kept; empty is success."""

    figures: dict[str, str]
    broken: list[str]

    def table(self) -> str:
        """As Markdown."""
        lines = ["| what | value |", "|---|---|"]
        lines += [f"| {what} | {value} |" for what, value in self.figures.items()]
        return "\n".join([*lines, *(f"BROKEN: {sentence}" for sentence in self.broken)])


def judge(record: Record) -> Verdict:
    """What did not hold, and what was measured. A record without images or readings is broken too."""
    images = record.images
    lost = [one for one in images if one.status != "succeeded"]
    twice = sum(one.submissions > 1 for one in images)
    expired = sum(one.code == EXPIRED for one in images)
    broken = list(record.faults)
    if not images or len(record.readings) < 2:
        return Verdict(figures={}, broken=[*broken, "there are no images or no readings to judge"])
    if lost:
        why = Counter(one.code or one.status for one in lost)
        broken.append(f"{len(lost)} images were accepted and have no model: {dict(why)}")
    if twice:
        broken.append(f"{twice} images were submitted to FAL more than once")
    if expired:
        broken.append(f"{expired} results expired at FAL before they were fetched")
    if unseen := sum(one.status == "succeeded" and not one.submissions for one in images):
        broken.append(f"{unseen} images have a model that FAL's ledger does not know")
    return Verdict(figures=_figures(record, len(lost), twice, expired), broken=broken)


def _figures(record: Record, lost: int, twice: int, expired: int) -> dict[str, str]:
    size, readings = record.size, record.readings
    waits = [one.wait for one in record.images if one.wait is not None] or [0.0]
    hours, idle, filled = worker_hours(record)
    return {
        "uploads, images accepted": f"{len(record.uploads):,}, {len(record.images):,}",
        "lost, bought twice, expired": f"{lost}, {twice}, {expired}",
        "longest from 202 to FAL's submit": _of_the_day(max(waits), size.factor),
        "longest by FAL's pace alone": f"{fal_alone(record) / 60:.0f} min of the day",
        "half of the images": f"at most {_of_the_day(median(waits), size.factor)}",
        "unfinished work, at most": f"{max(one.value or 0 for one in readings):,.0f} images of the day",
        "workers, least and most": f"{min(one.wanted for one in readings)}, "
        f"{max(one.wanted for one in readings)}",
        "starts of workers": str(record.starts),
        "worker hours of the day": f"{hours:.1f}",
        "of these without an image in hand": f"{idle / hours:.0%}",
        "of all places for images filled": f"{filled:.0%}",
        "polls, those without a value": f"{len(readings)}, {sum(one.value is None for one in readings)}",
        "took": f"{record.seconds:.0f} s, {size.factor:.0f} times as fast; one image in {size.one_in}",
        "machine": f"{record.machine}; load {min(one.load for one in readings):.1f} to "
        f"{max(one.load for one in readings):.1f}",
    }


def fal_alone(record: Record) -> float:
    """The longest wait, in seconds of the day, for the same uploads where nothing but FAL takes time: first
    come, first served, by as many at once as FAL runs."""
    size = record.size
    free = [0.0] * size.shortened(size.concurrency)
    longest = 0.0
    for at, files in record.uploads:
        for _ in range(files):
            begins = max(at, free[0])
            longest = max(longest, begins - at)
            heapq.heapreplace(free, begins + size.latency)
    return longest


def worker_hours(record: Record) -> tuple[float, float, float]:
    """Hours of the day that workers ran; those of workers without an image; the share of places filled."""
    hours = idle = in_hand = 0.0
    for one, following in pairwise(record.readings):
        lasted = (following.at - one.at) / HOUR_S
        hours += one.living * lasted
        idle += max(one.living - one.busy, 0) * lasted
        in_hand += one.in_hand * lasted
    return hours, idle, in_hand / (hours * record.slots)


def _of_the_day(seconds: float, factor: float) -> str:
    return f"{seconds:.1f} s, which is {seconds * factor / 60:.0f} min of the day"
