"""`image2model confirm JOB IMAGE`."""

import asyncio
from pathlib import Path

import click

from image2model.cli.connection import client, json_option, service_options
from image2model.cli.output import print_job
from image2model.client import AsyncClient, Job


@click.command(short_help="Accept or reject the prepared pictures of an image.")
@click.argument("job_id", metavar="JOB")
@click.argument("image_id", metavar="IMAGE")
@click.option("--reject", is_flag=True, help="Cancel the image; its model is not made.")
@click.option(
    "--save",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Save the prepared pictures in this folder, to look at them, and decide nothing.",
)
@service_options
@json_option
def command(
    job_id: str,
    image_id: str,
    reject: bool,
    folder: Path | None,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Accept the prepared pictures of an image, so that its model is made of them.

    An image that was submitted with `--confirm-prepared` waits for this for 24 hours, then it fails, and its
    model is not bought. `image2model status JOB` shows which images wait. To confirm twice changes nothing.
    """
    if folder is not None and reject:
        raise click.UsageError("--save decides nothing: leave --reject out")
    service = client(url, key)
    if folder is not None:
        for path in asyncio.run(_save(service, job_id, image_id, folder)):
            click.echo(path)
        return
    print_job(asyncio.run(_confirm(service, job_id, image_id, accept=not reject)), as_json=as_json)


async def _confirm(service: AsyncClient, job_id: str, image_id: str, *, accept: bool) -> Job:
    async with service:
        return await service.confirm(job_id, image_id, accept=accept)


async def _save(service: AsyncClient, job_id: str, image_id: str, folder: Path) -> list[Path]:
    async with service:
        job = await service.job(job_id)
        image = next((one for one in job.images if one.image_id == image_id), None)
        files = image.preparation.files if image and image.preparation else ()
        if image is None or not files:
            raise click.ClickException("This image has no prepared pictures (yet).")
        paths = []
        for file in files:
            path = folder / f"{image.stem}-{file.kind}.{file.format}"
            await service.download(job_id, image_id, path, file=file.kind, size=file.size)
            paths.append(path)
        return paths
