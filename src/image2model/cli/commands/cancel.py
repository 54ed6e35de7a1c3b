"""`image2model cancel JOB`."""

import asyncio

import click

from image2model.cli.connection import client, json_option, service_options
from image2model.cli.output import print_job
from image2model.client import AsyncClient, Job


@click.command(short_help="Cancel the unfinished images of a job.")
@click.argument("job_id", metavar="JOB")
@service_options
@json_option
def command(job_id: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Cancel the unfinished images of a job.

    FAL is asked to stop what it has accepted. If FAL finishes an image all the same, it is billed and its
    model is kept.
    """
    print_job(asyncio.run(_cancel(client(url, key), job_id)), as_json=as_json)


async def _cancel(service: AsyncClient, job_id: str) -> Job:
    async with service:
        return await service.cancel(job_id)
