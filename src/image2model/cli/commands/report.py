"""`image2model report JOB`: one self-contained contact sheet."""

import asyncio
from pathlib import Path

import click

from image2model.cli.connection import client, connected, for_scripts, print_json
from image2model.cli.numbers import counted, size
from image2model.cli.report.sheet import write
from image2model.client import AsyncClient, Job


@click.command(short_help="Write a contact sheet of a job.")
@click.argument("job_id", metavar="JOB")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="The file; one that is there is replaced.",
)
@connected
@for_scripts
def command(job_id: str, out: Path, url: str | None, key: str | None, as_json: bool) -> None:
    """Write a contact sheet of a job: one HTML file that needs no network and prints well.

    For each picture it shows the picture, the model's preview where there is one, the model's numbers, cost
    and time, and errors with what to do next. A job that still runs is shown as it is now.
    """
    job, count = asyncio.run(_write(client(url, key), job_id, out))
    if as_json:
        print_json({"job_id": job.job_id, "status": job.status, "file": str(out), "bytes": count})
        return
    click.echo(
        f"{out}: {counted(job.total, 'picture')}, {counted(job.counts.succeeded, 'model')}, {size(count)}"
    )
    if not job.finished:
        click.echo(f"The job is {job.status}: write the sheet again once it has ended.", err=True)


async def _write(service: AsyncClient, job_id: str, out: Path) -> tuple[Job, int]:
    async with service:
        job = await service.job(job_id)
        return job, await write(service, job, out)
