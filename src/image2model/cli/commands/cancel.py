"""`image2model cancel JOB`."""

import asyncio

import click

from image2model.cli.connection import client, connected, for_scripts
from image2model.cli.text import show_job
from image2model.client import AsyncClient, Job


@click.command(short_help="Stop what is not finished of a job.")
@click.argument("job_id", metavar="JOB")
@connected
@for_scripts
def command(job_id: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Stop what is not finished of a job.

    What FAL has accepted is asked to stop; if FAL finishes it all the same, it is billed and its model
    is kept.
    """
    show_job(asyncio.run(_cancel(client(url, key), job_id)), as_json=as_json)


async def _cancel(service: AsyncClient, job_id: str) -> Job:
    async with service:
        return await service.cancel(job_id)
