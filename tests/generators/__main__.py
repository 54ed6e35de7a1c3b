"""`make generators`: every generator of the page on a service of its own; prints a table of the results.

Exits with 1 where one of them fails. Nothing that it makes stays.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from tests.generators.attempt import Attempt, attempt, tools
from tests.support.up_process import Up

HEAD = ("generator", "version", "client", "compiles", "session", "seconds", "")


def main() -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        up = Up(Path(folder) / "data", "--port", "0", I2M_LOG_LEVEL="warning")
        try:
            url = up.ready().url
            found = [_attempt(tool, url, Path(folder)) for tool in tools()]
        finally:
            up.end()
    for line in _table([HEAD, *map(_row, found)]):
        click.echo(line)
    return int(any(one.failed for one in found))


def _attempt(tool: str, url: str, parent: Path) -> Attempt:
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        try:
            return attempt(tool, url, Path(folder))
        except AssertionError as error:
            click.echo(f"{tool}: {error}", err=True)
            return Attempt(tool, "", failed=True, note="failed, see above")


def _row(one: Attempt) -> tuple[str, ...]:
    marks = ("yes" if done else "no" for done in (one.made, one.compiled, one.ran))
    return (one.tool, one.version, *marks, f"{one.seconds:.0f}", one.note)


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


if __name__ == "__main__":
    sys.exit(main())
