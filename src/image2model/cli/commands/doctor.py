"""`image2model doctor`: what works, what does not, and what to do about it."""

import asyncio
from collections.abc import Sequence
from typing import Final

import click

from image2model.cli.connection import for_scripts, print_json
from image2model.cli.doctor.examination import examine
from image2model.cli.doctor.finding import Finding, State
from image2model.cli.tables import print_table, table_of

_STYLES: Final = {State.OK: "green", State.WARNING: "yellow", State.BROKEN: "bold red"}


@click.command(short_help="Check the settings and what they lead to.")
@for_scripts
def command(as_json: bool) -> int:
    """Check the settings and what they lead to: Redis, workers, storage, FAL.

    It reads the same environment as the service. Exit code 1 if something is broken; a warning is not.
    """
    findings = asyncio.run(examine())
    if as_json:
        print_json(findings)
    else:
        _show(findings)
    return 1 if any(one.state is State.BROKEN for one in findings) else 0


def _show(findings: Sequence[Finding]) -> None:
    table = table_of("part", "state", "found", "what to do")
    for one in findings:
        table.add_row(
            one.part, f"[{_STYLES[one.state]}]{one.state}[/]", _plain(one.detail), _plain(one.advice)
        )
    print_table(table)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
