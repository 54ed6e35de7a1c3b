"""How the rows are shown: aligned text for the terminal, Markdown for the documentation, JSON for machines.

Who calls it: the command.
"""

from collections.abc import Sequence

import msgspec

from tests.bench.row import Row
from tests.bench.verdict import Verdict

_HEAD = ("what", "ours", "against", "ratio", "limit", "", "load")
_BESIDE_HEAD = (
    "what",
    "here",
    "there",
    "ratio",
    "slower by",
    "spread here",
    "there",
    "yardstick",
    "limit",
    "",
)


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """This checkout beside the revision `commit`, each measured `runs` times."""

    commit: str
    runs: int
    verdicts: list[Verdict]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the bench. `broken` are the rows that could not run, and why; `product` is the folder of the
    package that was measured."""

    machine: str
    when: str
    rows: list[Row]
    broken: dict[str, str]
    product: str
    beside: Beside | None = None


def as_text(rows: Sequence[Row]) -> str:
    """Columns side by side."""
    return _columns([_HEAD, *map(_cells, rows)])


def as_markdown(rows: Sequence[Row]) -> str:
    """The same as a Markdown table."""
    return _markdown([_HEAD, *map(_cells, rows)])


def beside_as_text(verdicts: Sequence[Verdict]) -> str:
    """Two revisions, columns side by side."""
    return _columns([_BESIDE_HEAD, *map(_verdict_cells, verdicts)])


def beside_as_markdown(verdicts: Sequence[Verdict]) -> str:
    """The same as a Markdown table."""
    return _markdown([_BESIDE_HEAD, *map(_verdict_cells, verdicts)])


def _columns(lines: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _markdown(lines: Sequence[tuple[str, ...]]) -> str:
    head, *others = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *others))


def _verdict_cells(one: Verdict) -> tuple[str, ...]:
    here, there = f"{one.here:.4g} {one.unit}", f"{one.there:.4g} {one.unit}"
    shares = (f"{one.slower_by:+.1%}", f"{one.spread_here:.1%}", f"{one.spread:.1%}")
    words = [word for word, said in (("SLOWER", one.slower), ("SHORT", one.passed is False)) if said]
    yardstick = _ratio(one.yardstick)
    return (one.what, here, there, f"{one.ratio:.2f}", *shares, yardstick, one.limit, " ".join(words) or "ok")


def _cells(row: Row) -> tuple[str, ...]:
    verdict = {True: "ok", False: "SHORT", None: "-"}[row.passed]
    return (row.what, row.ours, row.against, _ratio(row.ratio), row.limit, verdict, f"{row.load:.1f}")


def _ratio(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"
