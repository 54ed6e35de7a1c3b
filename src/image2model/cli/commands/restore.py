"""`image2model restore FILE`."""

import asyncio
from pathlib import Path

import click

from image2model.cli.connection import for_scripts, print_json
from image2model.cli.operator import opened
from image2model.operations.restore import Restored, restore


@click.command(short_help="Bring a backup back into an empty service.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@for_scripts
def command(file: Path, as_json: bool) -> None:
    """Bring a backup back into an empty service. A store that has jobs is refused; API keys
    that it has stay beside those of the backup.

    Nothing is sent to FAL: pictures that were unfinished have failed with `submission_unconfirmed`, and
    only a retry sends them. Lives go on as if the time since the backup had not passed. API processes
    that run already must be started again, for their signing secret is another one now.
    """
    back = asyncio.run(_restore(file))
    if as_json:
        print_json(back)
        return
    click.echo(f"{back.jobs} jobs, {back.images} images and {back.files} files are back.")
    if back.unconfirmed:
        click.echo(f"{back.unconfirmed} pictures were unfinished; `image2model retry JOB` runs them again.")
    click.echo("Start running API processes again.")


async def _restore(file: Path) -> Restored:
    async with opened() as (_, redis, storage):
        return await restore(redis, storage, file)
