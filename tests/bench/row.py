"""One line of the table: what was measured, beside what, and the limit that it must keep.

Who calls it: every module with a row. A row never raises over a missed limit; it says so.
"""

from typing import Final, Literal

import msgspec

BASELINE: Final = "8adfc9c"
"""The revision beside which rows with a `factor` are judged: docs/speed.md states limits as shares of it."""

_Better = Literal["lower", "higher"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """`ratio` is ours by theirs, None where nothing is compared; `load` is how busy the machine was.

    `value` is ours as a number, in `unit`; the `better` of two is the lower or the higher. `factor`: the
    limit is this share of what BASELINE measures in the same run. A run without it does not judge the row,
    and `passed` is None.
    """

    what: str
    ours: str
    value: float
    unit: str
    better: _Better = "lower"
    against: str = "-"
    ratio: float | None = None
    limit: str
    passed: bool | None
    factor: float | None = None
    load: float = 0.0


def at_most(what: str, ours: float, limit: float, unit: str, *, against: str = "-") -> Row:
    """A figure with an upper limit of its own."""
    return Row(
        what=what,
        ours=f"{ours:.4g} {unit}",
        value=ours,
        unit=unit,
        against=against,
        limit=f"<= {limit:g} {unit}",
        passed=ours <= limit,
    )


def ratio_at_most(what: str, ours: float, theirs: float, limit: float, unit: str) -> Row:
    """Ours costs at most `limit` times theirs."""
    return _ratio(what, ours, theirs, unit, "lower", f"<= {limit:g} x", ours / theirs <= limit)


def ratio_at_least(what: str, ours: float, theirs: float, limit: float, unit: str) -> Row:
    """Ours reaches at least `limit` times theirs."""
    return _ratio(what, ours, theirs, unit, "higher", f">= {limit:g} x", ours / theirs >= limit)


def beside_baseline(
    what: str, ours: float, factor: float, unit: str, *, better: _Better = "lower", against: str = "-"
) -> Row:
    """Ours is at most (where higher is better: at least) `factor` times what BASELINE measures."""
    sign = "<=" if better == "lower" else ">="
    return Row(
        what=what,
        ours=f"{ours:.4g} {unit}",
        value=ours,
        unit=unit,
        better=better,
        against=against,
        limit=f"{sign} {factor:g} x {BASELINE}",
        passed=None,
        factor=factor,
    )


def _ratio(
    what: str, ours: float, theirs: float, unit: str, better: _Better, limit: str, passed: bool
) -> Row:
    return Row(
        what=what,
        ours=f"{ours:.4g} {unit}",
        value=ours,
        unit=unit,
        better=better,
        against=f"{theirs:.4g} {unit}",
        ratio=ours / theirs,
        limit=limit,
        passed=passed,
    )
