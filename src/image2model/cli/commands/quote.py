"""`image2model quote PATH...`: what `submit` would cost."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from image2model.cli.connection import client, connected, for_scripts
from image2model.cli.quoting.session import Request, run
from image2model.cli.quoting.words import report
from image2model.cli.submit.session import once_each
from image2model.cli.wishes import wishing


@click.command(short_help="Tell what a submit would cost, and buy nothing.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@wishing
@connected
@for_scripts
def command(url: str | None, key: str | None, as_json: bool, **given: Any) -> int:
    """Tell what `submit` with the same arguments would cost, and buy nothing.

    Identical pictures count once, and what an earlier run into --out has saved or sent costs nothing again.
    The other pictures are uploaded, so that the service can judge and price each; it keeps none of them, and
    nothing is written on this machine. A service that has to be asked more often than its rate limit allows
    is waited for.

    Exit code 1 if a picture would be refused; each is named with its reason.
    """
    service = client(url, key, patience=600)
    service.hear_trouble(
        once_each(lambda reason: click.echo(f"{reason.rstrip('.')}; trying again", err=True))
    )
    return report(asyncio.run(run(Request(**given), service, _show)), as_json=as_json)


def _show(done: int, total: int) -> None:
    """An upload of hundreds of pictures takes a while: a person sees it move, a script nothing."""
    if sys.stderr.isatty():
        click.echo(f"\r{done}/{total} pictures judged", nl=done == total, err=True)
