"""`image2model backup FILE`."""

import asyncio
from pathlib import Path

import click

from image2model.cli.connection import json_option
from image2model.cli.operator import open_service
from image2model.cli.output import print_json
from image2model.operations import backup
from image2model.operations.backup import Contents


@click.command(short_help="Write jobs, keys and files into one archive.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--files/--no-files",
    default=None,
    help="Include the stored pictures and models; default: only if the storage is a folder.",
)
@json_option
def command(file: Path, files: bool | None, as_json: bool) -> None:
    """Write jobs, keys, budgets and files into one archive, FILE, while the service runs.

    For operators, on the service's machine: it uses I2M_REDIS_URL and I2M_STORAGE_URL, or the `up` that runs
    on I2M_DATA_DIR. The archive holds secrets; its permissions let only you read it.
    """
    contents = asyncio.run(_make(file, files))
    if as_json:
        print_json(contents)
        return
    stored = f"{contents.files} files, {contents.bytes / 1e6:.1f} MB" if contents.with_files else "no files"
    click.echo(f"{file}: {contents.jobs} jobs, {contents.images} images, {stored}")


async def _make(file: Path, files: bool | None) -> Contents:
    async with open_service() as (settings, redis, storage):
        with_files = settings.storage_url.startswith("file:") if files is None else files
        return await backup.make(redis, storage if with_files else None, file)
