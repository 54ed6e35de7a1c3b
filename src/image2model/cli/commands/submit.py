"""`image2model submit PATH...`: pictures in, models out."""

import asyncio
import time
from pathlib import Path
from typing import Any

import click

from image2model.cli.connection import client, connected, for_scripts
from image2model.cli.options import shared_options
from image2model.cli.submit.session import Request, run
from image2model.cli.submit.summary import report


@click.command(short_help="Upload pictures and download their models.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@shared_options
@click.option("--retry-failed", is_flag=True, help="Run what failed in an earlier run again. This costs.")
@click.option(
    "--jobs", "at_once", type=click.IntRange(1, 100), default=20, show_default=True, help="Batches at once."
)
@connected
@for_scripts
def command(url: str | None, key: str | None, as_json: bool, **given: Any) -> int:
    """Upload pictures and download their models.

    PATH is a picture or a folder. Folders are searched for PNG, JPEG and WebP pictures, told by their
    content. Each model lies in --out by its picture's path relative to the folder given (a picture given
    by itself: its name), with `.glb`; a second one of the same name gets `-2`.

    Run it again after an interruption: jobs go on at the service, and the same command picks them up.
    What is saved is not sent again, a picture with many names is sent once, and what failed is named
    again but costs nothing: `--retry-failed` runs it again in its job, which is a new paid attempt.
    A picture whose job was cancelled, or has expired before its model was saved, is sent again.

    Exit code 1 if any picture has no model. The file `.image2model/ledger.db` in --out remembers it all.
    """
    request = Request(**given, as_json=as_json)
    began = time.monotonic()
    try:
        result = asyncio.run(run(request, client(url, key, patience=600)))
    except KeyboardInterrupt:
        click.echo(
            "Interrupted. The jobs go on at the service; run the same command again to pick them up, "
            "or stop one with `image2model cancel JOB` (`image2model jobs --status running` lists them).",
            err=True,
        )
        return 130
    return report(result, as_json=as_json, out=request.out, seconds=time.monotonic() - began)
