"""`image2model watch DIR`: every picture that appears in a folder becomes a model."""

import asyncio
from pathlib import Path
from typing import Any

import click

from image2model.cli.connection import client, connected, for_scripts
from image2model.cli.watching.session import Request, run
from image2model.cli.wishes import wishing
from image2model.settings import load

_PATIENCE_SECONDS = 86_400.0


@click.command(short_help="Make models of all pictures that appear in a folder.")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@wishing
@click.option(
    "--jobs", "at_once", type=click.IntRange(1, 100), default=20, show_default=True, help="Batches at once."
)
@connected
@for_scripts
def command(url: str | None, key: str | None, as_json: bool, **given: Any) -> int:
    """Make models of all pictures in DIR, and of those that appear there, until it is interrupted.

    A picture is sent once it is whole: it has not changed for a second and is complete. Started again, it
    sends nothing a second time: it shares its ledger with `submit`, in --out. What failed is run again by
    `image2model submit DIR --retry-failed` with the same --out.
    """
    request = Request(**given, max_pixels=load(None).max_pixels, as_json=as_json)
    try:
        asyncio.run(run(request, client(url, key, patience=_PATIENCE_SECONDS)))
    except KeyboardInterrupt:
        click.echo("Stopped watching. Jobs go on at the service; the same command picks them up.", err=True)
        return 130
    return 0
