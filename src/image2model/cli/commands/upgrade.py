"""`image2model upgrade`: shows the data version of the store, and what holds back the newest one."""

import asyncio

import click

from image2model.cli.connection import json_option
from image2model.cli.operator import open_service
from image2model.cli.output import print_json
from image2model.cli.text import counted
from image2model.store.data_versions import LATEST
from image2model.store.identity import Upgrade, negotiate
from image2model.store.tagging import TagsRefused, add_tags


@click.command(short_help="Show which data version the store is written in.")
@click.option(
    "--force",
    is_flag=True,
    help="Write the newest version from now on. Remaining processes of the first release then break.",
)
@click.option(
    "--tags",
    is_flag=True,
    help="Give the keys of an earlier release's store the names that a cluster needs. Stop everything first.",
)
@json_option
def command(force: bool, tags: bool, as_json: bool) -> int:
    """Show which data version the store is written in, and what holds back the newest.

    The version rises by itself, 15 seconds after the last process of an earlier release has ended. Another
    service of the first release on the same server holds it back as well, because pub/sub channels have no
    database numbers: use --force then. There is no way back. Exit code 1 until the newest version is written.

    With --tags it renames all keys, which takes a minute or two for a million. It may be killed: until it was
    run to its end, nothing starts on the store.
    """
    if tags:
        click.echo(f"{counted(asyncio.run(_add_tags()), 'key')} renamed: the names of all keys have tags.")
        return 0
    upgrade = asyncio.run(_negotiate(force=force))
    if as_json:
        print_json(upgrade)
    else:
        click.echo(describe_upgrade(upgrade))
    return 0 if upgrade.done else 1


def describe_upgrade(upgrade: Upgrade) -> str:
    """The state as a sentence."""
    version = f"The store is written in data version {upgrade.identity.version}"
    if upgrade.done:
        if not upgrade.workers:
            return f"{version}, the newest."
        left = counted(upgrade.workers, "worker")
        return f"{version}, the newest, which {left} of the first release cannot read."
    holding = [
        f"{counted(count, thing)} of {whose}"
        for count, thing, whose in (
            (upgrade.workers, "worker", "the first release"),
            (upgrade.apis, "API process", "the first release, or of another service on this server"),
            (upgrade.behind, "process", "an earlier release"),
        )
        if count
    ]
    if not holding:
        return f"{version} of {LATEST}: nothing holds it back, and it rises in seconds."
    return f"{version} of {LATEST}, held back by {' and '.join(holding)}."


async def _add_tags() -> int:
    async with open_service() as (_, redis, _storage):
        try:
            return await add_tags(redis)
        except TagsRefused as error:
            raise click.ClickException(str(error)) from error


async def _negotiate(*, force: bool) -> Upgrade:
    async with open_service() as (_, redis, _storage):
        return await negotiate(redis, force=force)
