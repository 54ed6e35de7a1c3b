"""How two revisions compare: medians, their ratio, and what one revision differs from itself.

Who calls it: `tests.bench.beside`. Pure arithmetic.
"""

import math
from collections.abc import Sequence
from statistics import median
from typing import Final, Literal

import msgspec

LEAST: Final = 0.05
"""A smaller difference is never called slower."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One row of both sides.

    `here` and `there` are medians: of this checkout, of the other revision. `ratio`: here by there.
    `slower_by`: the share by which here is worse, below 0 where it is better. `spread`: how far the other
    revision's own runs lie apart, as a share of their median; `spread_here`: the same of this checkout's.
    `slower`: worse by more than the larger of LEAST and the spread.

    `limit` is the row's, and `yardstick` the median ratio to what the row itself measures beside ours.
    `passed`: whether the median keeps the limit; None where the limit is a share of another revision.
    """

    what: str
    unit: str
    here: float
    there: float
    ratio: float
    slower_by: float
    spread: float
    spread_here: float
    slower: bool
    limit: str = "-"
    yardstick: float | None = None
    passed: bool | None = None


def compare(
    what: str,
    unit: str,
    better: Literal["lower", "higher"],
    here: Sequence[float],
    there: Sequence[float],
) -> Verdict:
    """The verdict on the runs of both sides. `better`: whether the lower or the higher of two values is."""
    ours, theirs = median(here), median(there)
    slower_by = _share(ours - theirs, theirs) if better == "lower" else _share(theirs - ours, ours)
    spread = _share(max(there) - min(there), theirs)
    spread_here = _share(max(here) - min(here), ours)
    return Verdict(
        what=what,
        unit=unit,
        here=ours,
        there=theirs,
        ratio=1 + _share(ours - theirs, theirs),
        slower_by=slower_by,
        spread=spread,
        spread_here=spread_here,
        slower=slower_by > max(LEAST, spread),
    )


def keeps(factor: float, better: Literal["lower", "higher"], ratio: float) -> bool:
    """Whether a ratio of here by there keeps a limit that is a share of the other revision."""
    return ratio <= factor if better == "lower" else ratio >= factor


def _share(difference: float, of: float) -> float:
    if not difference:
        return 0.0
    return difference / of if of else math.copysign(math.inf, difference)
