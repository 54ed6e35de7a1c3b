"""`image2model restore FILE`."""

import asyncio
from pathlib import Path

import click

from image2model.cli.connection import json_option
from image2model.cli.operator import open_service
from image2model.cli.output import print_json
from image2model.operations.restore import Restored, restore


@click.command(short_help="Restore a backup into an empty service.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def command(file: Path, as_json: bool) -> None:
    """Restore a backup into an empty service. A store that has jobs is refused; its API keys
    are kept beside those of the backup.

    Nothing is sent to FAL: unfinished pictures fail with `submission_unconfirmed`, and only a retry sends
    them. Times to live continue as if the time since the backup had not passed. Restart the API processes
    that already run, because the signing secret has changed.
    """
    back = asyncio.run(_restore(file))
    if as_json:
        print_json(back)
        return
    click.echo(f"{back.jobs} jobs, {back.images} images and {back.files} files are restored.")
    if back.unconfirmed:
        click.echo(f"{back.unconfirmed} pictures were unfinished; `image2model retry JOB` runs them again.")
    click.echo("Restart the API processes that run.")


async def _restore(file: Path) -> Restored:
    async with open_service() as (_, redis, storage):
        return await restore(redis, storage, file)
