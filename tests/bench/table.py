"""How the rows are shown: aligned text for the terminal, Markdown for the documentation, JSON for machines.

Who calls it: the command.
"""

from collections.abc import Sequence

import msgspec

from tests.bench.row import Row

_HEAD = ("what", "ours", "against", "ratio", "limit", "", "load")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the bench. `broken` are the rows that could not run, and why."""

    machine: str
    when: str
    rows: list[Row]
    broken: dict[str, str]


def as_text(rows: Sequence[Row]) -> str:
    """Columns side by side."""
    lines = [_HEAD, *map(_cells, rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """The same as a Markdown table."""
    lines = [_HEAD, ("---",) * len(_HEAD), *map(_cells, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
    verdict = "ok" if row.passed else "SHORT"
    return (row.what, row.ours, row.against, ratio, row.limit, verdict, f"{row.load:.1f}")
