"""A job in words, for the terminal.

Who calls it: `status`, `cancel` and `retry`.
"""

import click

from image2model.cli.advice import advice
from image2model.cli.connection import print_json
from image2model.cli.waits import waiting_words
from image2model.client.documents import Image, Job


def show_job(job: Job, *, as_json: bool) -> None:
    """The job and each of its images; with `as_json` the service's document as one line."""
    if as_json:
        print_json(job)
        return
    click.echo(f"{job.job_id}  {job.status}  {job.progress:.0%}  {job.model}")
    if job.waiting_for:
        click.echo(f"  {waiting_words(job.waiting_for)}")
    for image in job.images:
        click.echo(f"  {image.status:<11} {image.filename}  {_remark(image)}".rstrip())
        for warned in image.result.warnings if image.result else ():
            click.echo(f"  {'warning':<11} {image.filename}  {warned.code}: {warned.message}")
    for one in job.rejected:
        click.echo(f"  {'rejected':<11} {one.file}  {one.code}: {one.detail}")
    for code in dict.fromkeys(_codes(job)):
        if todo := advice(code, job.job_id):
            click.echo(f"  {code}: {todo}")
    uncertain = ", part of it estimated" if any(image.cost_uncertain for image in job.images) else ""
    click.echo(f"  cost {job.cost_usd or 0:.2f} USD{uncertain}")


def exit_code(job: Job) -> int:
    """1 where an image of the job has failed or was refused."""
    return 1 if job.counts.failed or job.rejected else 0


def _codes(job: Job) -> list[str]:
    return [image.error.code for image in job.images if image.error] + [one.code for one in job.rejected]


def _remark(image: Image) -> str:
    if image.error:
        return f"{image.error.code}: {image.error.message}"
    if image.queue_position is not None:
        return f"place {image.queue_position} in FAL's queue"
    return "reused" if image.cached else ""
