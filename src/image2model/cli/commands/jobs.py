"""`image2model jobs`."""

import asyncio

import click

from image2model.cli.connection import client, json_option, service_options
from image2model.cli.options import metadata_option
from image2model.cli.output import print_json
from image2model.client import AsyncClient
from image2model.client.documents import Job, JobPage
from image2model.domain import Metadata

_PAGE = 100


@click.command(short_help="List jobs, newest first.")
@click.option("--status", help="Only jobs with this status; separate several with commas.")
@metadata_option("Only jobs with this in their metadata, or in an image's; several: all of them.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Maximum number of jobs."
)
@service_options
@json_option
def command(
    status: str | None, metadata: Metadata, limit: int, url: str | None, key: str | None, as_json: bool
) -> None:
    """List jobs, newest first: id, status, how many of its images succeeded, cost, time, model."""
    page = asyncio.run(_page(client(url, key), status, metadata, limit))
    if as_json:
        print_json(page)
        return
    for job in page.jobs:
        click.echo(_line(job))
    if page.next_cursor:
        click.echo(f"There are more; `--limit {2 * limit}` shows them.", err=True)


async def _page(service: AsyncClient, status: str | None, metadata: Metadata, limit: int) -> JobPage:
    jobs: list[Job] = []
    cursor: str | None = None
    async with service:
        while len(jobs) < limit:
            size = min(limit - len(jobs), _PAGE)
            page = await service.jobs(status=status, metadata=metadata, limit=size, cursor=cursor)
            jobs += page.jobs
            cursor = page.next_cursor
            if cursor is None:
                break
    return JobPage(tuple(jobs), cursor)


def _line(job: Job) -> str:
    done = f"{job.counts.succeeded}/{job.total}"
    cost = f"{job.cost_usd or 0:7.2f} USD"
    return f"{job.job_id}  {job.status:<9}  {done:>6}  {cost}  {job.created_at}  {job.model}"
