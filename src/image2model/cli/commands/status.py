"""`image2model status JOB`."""

import asyncio

import click

from image2model.cli.connection import client, json_option, service_options
from image2model.cli.output import exit_code, print_job
from image2model.client import AsyncClient, Job


@click.command(short_help="Show a job.")
@click.argument("job_id", metavar="JOB")
@service_options
@json_option
def command(job_id: str, url: str | None, key: str | None, as_json: bool) -> int:
    """Show a job and each of its images.

    Exit code 1 if an image has failed or was rejected.
    """
    job = asyncio.run(_job(client(url, key), job_id))
    print_job(job, as_json=as_json)
    return exit_code(job)


async def _job(service: AsyncClient, job_id: str) -> Job:
    async with service:
        return await service.job(job_id)
