"""`image2model dead list` and `image2model dead replay`: the images that failed for good.

For operators: the key's role must be `admin`.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import click

from image2model.cli.connection import client, json_option, service_options
from image2model.cli.output import print_json
from image2model.client import AsyncClient
from image2model.client.documents import DeadImage, DeadPage, Replayed

_F = TypeVar("_F", bound=Callable[..., object])


def _filtered(command: _F) -> _F:
    """Adds `--code`, `--model` and `--owner`."""
    command = click.option("--owner", default="", help="Only images of this owner.")(command)
    command = click.option("--model", default="", help="Only images of this model.")(command)
    return click.option(
        "--code", default="", help="Only images with this error code, such as generation_failed."
    )(command)


@click.group(short_help="List or replay the images that failed for good.")
def command() -> None:
    """List or replay the images that failed for good."""


@command.command("list", short_help="Show them, newest first.")
@_filtered
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100), help="Images on a page.")
@click.option("--cursor", help="Show the next page: give the cursor that the last page printed.")
@service_options
@json_option
def show(
    code: str,
    model: str,
    owner: str,
    limit: int,
    cursor: str | None,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Show the images that failed for good, newest first; with --json each has its whole history."""

    async def page(service: AsyncClient) -> DeadPage:
        async with service:
            return await service.dead(code=code, model=model, owner=owner, limit=limit, cursor=cursor)

    found = asyncio.run(page(client(url, key)))
    if as_json:
        print_json(found)
        return
    for one in found.images:
        click.echo(_line(one))
    if found.next_cursor:
        click.echo(f"more: --cursor {found.next_cursor}")


@command.command("replay", short_help="Run them again.")
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
@_filtered
@click.option("--all", "every", is_flag=True, help="All of them, up to the limit.")
@click.option(
    "--limit", default=1000, show_default=True, type=click.IntRange(1, 1000), help="Maximum number of images."
)
@service_options
@json_option
def replay(
    images: tuple[str, ...],
    code: str,
    model: str,
    owner: str,
    every: bool,
    limit: int,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Run images that failed for good again: those named, or those that a filter selects. Each is a new paid
    attempt."""
    by_filter = bool(code or model or owner or every)
    if by_filter == bool(images):
        raise click.UsageError("name images, or give either a filter (--code, --model, --owner) or --all")

    async def run(service: AsyncClient) -> Replayed:
        async with service:
            if by_filter:
                return await service.replay_many(
                    code=code, model=model, owner=owner, every=every, limit=limit
                )
            jobs = [(await service.replay(image)).job_id for image in images]
            return Replayed(len(jobs), tuple(dict.fromkeys(jobs)))

    done = asyncio.run(run(client(url, key)))
    if as_json:
        print_json(done)
        return
    click.echo(f"{done.replayed} run again, of {len(done.job_ids)} jobs")
    if done.more:
        click.echo("more images match: run the command again for them")


def _line(one: DeadImage) -> str:
    reason = f"{one.error.code}: {one.error.message}" if one.error else ""
    head = f"{one.failed_at}  {one.image_id}  {one.owner}  {one.image.filename}"
    return f"{head}  attempt {one.image.attempt}  {reason}\n  {one.model}, job {one.job_id}"
