"""Output of the commands on standard output: JSON for scripts, tables, and a job with its images."""

import sys
from typing import TYPE_CHECKING, Final

import click
import msgspec

from image2model.cli.advice import advice, waiting_message
from image2model.client.documents import Image, Job

if TYPE_CHECKING:
    from rich.table import Table

_NO_WRAP: Final = frozenset({"id", "prefix"})  # people copy these: they stay on one line
_NO_TERMINAL: Final = 10_000  # a pipe has no width: a value broken into lines could not be copied


def print_json(document: object) -> None:
    """One document, as one line."""
    click.echo(msgspec.json.encode(document).decode())


def table_of(*titles: str) -> "Table":
    """A table with these columns and no frame."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title in _NO_WRAP)
    return table


def print_table(table: "Table") -> None:
    """The table on standard output."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else _NO_TERMINAL).print(table)


def print_job(job: Job, *, as_json: bool) -> None:
    """The job and each of its images; with `as_json` the service's document as one line."""
    if as_json:
        print_json(job)
        return
    click.echo(f"{job.job_id}  {job.status}  {job.progress:.0%}  {job.model}")
    for warning in job.warnings:
        click.echo(f"  warning: {warning.code}: {warning.message}")
    if job.waiting_for:
        click.echo(f"  {waiting_message(job.waiting_for)}")
    for image in job.images:
        click.echo(f"  {image.status:<11} {_name(image)}  {_note(image, job.job_id)}".rstrip())
        for warned in image.all_warnings:
            click.echo(f"  {'warning':<11} {image.filename}  {warned.code}: {warned.message}")
    for one in job.rejected:
        click.echo(f"  {'rejected':<11} {one.file}  {one.code}: {one.detail}")
    for code in dict.fromkeys(_codes(job)):
        if action := advice(code, job.job_id):
            click.echo(f"  {code}: {action}")
    uncertain = ", part of it estimated" if any(image.cost_uncertain for image in job.images) else ""
    click.echo(f"  cost {job.cost_usd or 0:.2f} USD{uncertain}")


def exit_code(job: Job) -> int:
    """1 if an image of the job has failed or was rejected."""
    return 1 if job.counts.failed or job.rejected else 0


def _codes(job: Job) -> list[str]:
    return [image.error.code for image in job.images if image.error] + [one.code for one in job.rejected]


def _name(image: Image) -> str:
    if image.variant is None:
        return image.filename
    seed = "" if image.seed is None else f", seed {image.seed}"
    return f"{image.filename} (variant {image.variant}{seed})"


def _note(image: Image, job_id: str) -> str:
    if image.waiting_for == "confirmation":
        return f"waits for `image2model confirm {job_id} {image.image_id}`"
    if image.error:
        return f"{image.error.code}: {image.error.message}"
    if image.queue_position is not None:
        return f"place {image.queue_position} in FAL's queue"
    return "reused" if image.cached else ""
