"""`image2model submit PATH...`: pictures in, models out."""

import asyncio
import time
from typing import Any

import click

from image2model.cli.connection import client, json_option, service_options
from image2model.cli.options import (
    PictureCommand,
    input_options,
    making_options,
    own_data_options,
    parallel_option,
    pop_making,
    shared_options,
)
from image2model.cli.submit.session import Request, run
from image2model.cli.submit.summary import report


@click.command(cls=PictureCommand, short_help="Upload pictures and download their models.")
@input_options
@making_options
@shared_options
@click.option(
    "--retry-failed", is_flag=True, help="Run the failures of earlier runs again. Each is a new paid attempt."
)
@own_data_options
@parallel_option
@service_options
@json_option
def command(url: str | None, key: str | None, as_json: bool, **given: Any) -> int:
    """Upload pictures and download their models.

    PATH is a picture, a folder or a list. A folder is searched for pictures, which are recognised
    by their content. Each model is saved in --out under its picture's path relative to the folder (or under
    the name of a picture given by itself), with `.glb`; a second one of the same name gets `-2`.

    A list is a text file (`.txt`) with an address (https://…) on each line, or a CSV file with a column
    `url`, maybe a column `filename`, and columns of the picture's own data. The service fetches them.

    With --views each folder in DIR is an object of one model, named by the folder, and its pictures are the
    views. A name that ends in front, back, left, right, top, bottom, left_front or right_front after `_`, `-`
    or a space, or is such a word alone, shows that side. Pictures in DIR itself are one object where their
    names begin alike and end in a side (`chair_front.jpg`, `chair-back.png`: `chair`); others are a model
    each. An object has at most 8 views, and each side once; the model decides which it takes.

    --variants makes several models of each picture, `NAME-v1.glb` and so on. Where --model is given several
    times, each model has a folder in --out. Both are made and paid for as so many pictures.

    After an interruption, run the same command again: the jobs continue at the service, and the command
    picks them up. A saved picture is not sent again, and a picture with many names is sent once. A failed
    picture is listed again at no cost; `--retry-failed` runs it again, which is a new paid attempt.
    A picture whose job was cancelled, or expired before its model was saved, is sent again.

    The metadata goes with what this run sends; what was sent before keeps its own.

    Exit code 1 if any picture has no model. The file `.image2model/ledger.db` in --out records all this.
    """
    making = pop_making(given)
    request = Request(**given, making=making, as_json=as_json)
    began = time.monotonic()
    try:
        result = asyncio.run(run(request, client(url, key, patience=600)))
    except KeyboardInterrupt:
        click.echo(
            "Interrupted. The jobs continue at the service; run the same command again to pick them up, "
            "or stop one with `image2model cancel JOB` (`image2model jobs --status running` lists them).",
            err=True,
        )
        return 130
    return report(result, as_json=as_json, out=request.out, seconds=time.monotonic() - began)
