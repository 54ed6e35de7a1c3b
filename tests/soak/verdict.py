"""Judges the record of a soak: nothing may grow, and the load must have been what was asked for.

Who calls it: the command line and the tests. Pure: the same record gives the same verdict.

Load comes in bursts, so a value goes up and down all the time. What leaks stays, also between the bursts.
Therefore the watched time is cut into parts, and the floor of a part is the least that was held in it (its
10th percentile, so that one odd reading does not decide). The rise is the largest from one part to a later
one: a leak that something else hides for a while, such as memory that is given back once, shows all the same.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import msgspec

from tests.soak.readings import UNITS, Record

PARTS: Final = 5
_FLOOR: Final = 0.1
_LEAST: Final = 4
"""Readings in a part: with fewer the floor is chance."""
SLACK: Final = {"memory": 0.5, "data": 0.5, "handles": 3.0, "threads": 20.0, "tasks": 3.0, "keys": 50.0}
"""A rise of no more than this is flat whatever its share: 5 % of nine handles are less than one. Threads of
the storage come with a burst, and end when they had nothing to do for 10 s."""
_LOADED: Final = 0.95


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """One series from `settle` on. `floors`: of each part in order; `rise`: the largest to a later part, as a
    fraction of the earlier; `flat`: it is allowed."""

    process: str
    what: str
    floors: list[float]
    rise: float
    flat: bool

    def sentence(self) -> str:
        """For people."""
        unit = UNITS[self.what]
        return f"{self.process} {self.what}: {' '.join(f'{one:.4g}' for one in self.floors)} {unit}".rstrip()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`broken`: a sentence for each promise that was not kept; empty is success."""

    growths: list[Growth]
    broken: list[str]

    def table(self) -> str:
        """As Markdown."""
        lines = ["| process | what | floors of five parts | rise |", "|---|---|---|---|"]
        lines += [
            f"| {one.process} | {one.what} | {' · '.join(f'{floor:.4g}' for floor in one.floors)}"
            f"{f' {UNITS[one.what]}' if UNITS[one.what] else ''} | {one.rise:+.1%} |"
            for one in self.growths
        ]
        return "\n".join([*lines, *(f"BROKEN: {sentence}" for sentence in self.broken)])


def judge(record: Record) -> Verdict:
    """What did not hold. A record that is too short to show anything is broken too."""
    size = record.size
    broken = list(record.faults)
    expected = size.rate * size.minutes * _LOADED
    if record.counts.get("images", 0) < expected:
        broken.append(f"only {record.counts.get('images', 0)} images were uploaded, not {expected:.0f}")
    broken += [
        f"none of: {what}"
        for what in ("jobs streamed", "polls", "images retried", "jobs deleted")
        if not record.counts.get(what)
    ]
    growths = list(_growths(record))
    if not growths:
        broken.append("there are too few readings after the settling time to show anything")
    allowed = f"{size.allowed:.0%} from minute {size.settle:g} on"
    broken += [
        f"it grew by {one.rise:.1%}, more than {allowed}: {one.sentence()}" for one in growths if not one.flat
    ]
    return Verdict(growths=growths, broken=broken)


def _growths(record: Record) -> Iterator[Growth]:
    first = next((n for n, at in enumerate(record.seconds) if at >= record.size.settle * 60), None)
    if first is None or len(record.seconds) - first < PARTS * _LEAST:
        return
    for process, series in record.series.items():
        for what, values in series.items():
            yield growth(process, what, values[first:], record.size.allowed)


def growth(process: str, what: str, values: Sequence[float], allowed: float) -> Growth:
    """Of the watched values of one series, at least four for each part."""
    length = len(values)
    floors = [floor(values[n * length // PARTS : (n + 1) * length // PARTS]) for n in range(PARTS)]
    earlier, later = max(combinations(floors, 2), key=lambda pair: pair[1] - pair[0])
    rise = (later - earlier) / earlier if earlier else float(later > 0)
    flat = later - earlier <= max(allowed * earlier, SLACK[what])
    return Growth(process=process, what=what, floors=floors, rise=rise, flat=flat)


def floor(values: Sequence[float]) -> float:
    """The 10th percentile: the least, but for one reading in ten."""
    return sorted(values)[int(len(values) * _FLOOR)]
