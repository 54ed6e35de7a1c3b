"""Numbers as people read them.

Who calls it: the contact sheet, and the terminal's boards.
"""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Final

from image2model.domain import Mesh

if TYPE_CHECKING:
    from rich.table import Table
import click

from image2model.cli.advice import advice, waiting_words
from image2model.cli.connection import print_json
from image2model.client.documents import Image, Job


def counted(count: int, thing: str) -> str:
    """`1 picture`, `2,048 triangles`, `3 processes`."""
    ending = "" if count == 1 else "es" if thing.endswith("s") else "s"
    return f"{count:,} {thing}{ending}"


def size(count: int) -> str:
    """Bytes, in decimal units."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def seconds(amount: float) -> str:
    """A span of time: `4.2 s`, `3 min 05 s`, `2 h 03 min`."""
    if amount < 60:
        return f"{amount:.1f} s"
    minutes, rest = divmod(round(amount), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def dollars(amount: float | None) -> str:
    """Two digits, or more where a cent is too coarse."""
    if amount is None:
        return "not known"
    return f"${amount:.2f}" if amount == 0 or amount >= 0.01 else f"${amount:.4f}"


def extent(mesh: Mesh) -> str:
    """Width × height × depth, in the model's own units."""
    low, high = mesh.bounds
    return " × ".join(f"{upper - lower:.2f}" for lower, upper in zip(low, high, strict=True))


def span(start: str | None, end: str | None) -> float | None:
    """Seconds between two RFC 3339 times; None where one is missing or cannot be read."""
    if not start or not end:
        return None
    try:
        return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (ValueError, TypeError):
        return None


_WHOLE: Final = frozenset({"id", "prefix"})  # what people copy stays on one line
_NO_TERMINAL: Final = 10_000  # a pipe has no width: a secret cut in two could not be copied out of it


def table_of(*titles: str) -> "Table":
    """A table with these columns and no frame."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title in _WHOLE)
    return table


def print_table(table: "Table") -> None:
    """On standard output."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else _NO_TERMINAL).print(table)


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
