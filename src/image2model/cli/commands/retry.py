"""`image2model retry JOB`."""

import asyncio

import click

from image2model.cli.connection import client, json_option, service_options
from image2model.cli.output import print_job
from image2model.client import AsyncClient, Job


@click.command(short_help="Run the failed images of a job again.")
@click.argument("job_id", metavar="JOB")
@click.option("--image", "image_ids", multiple=True, help="Only this image; give the option again for more.")
@service_options
@json_option
def command(job_id: str, image_ids: tuple[str, ...], url: str | None, key: str | None, as_json: bool) -> None:
    """Run the failed images of a job again. Each is a new paid attempt."""
    print_job(asyncio.run(_retry(client(url, key), job_id, image_ids)), as_json=as_json)


async def _retry(service: AsyncClient, job_id: str, image_ids: tuple[str, ...]) -> Job:
    async with service:
        return await service.retry(job_id, image_ids=image_ids or None)
