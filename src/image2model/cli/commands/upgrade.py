"""`image2model upgrade`: which data version the store is written in, and what holds back the newest."""

import asyncio

import click

from image2model.cli.connection import for_scripts, print_json
from image2model.cli.operator import opened
from image2model.cli.text import counted
from image2model.store.data_versions import LATEST
from image2model.store.identity import Upgrade, negotiate


@click.command(short_help="Show which data version the store is written in.")
@click.option(
    "--force",
    is_flag=True,
    help="Write the newest from now on. Processes of the first release that are left then break.",
)
@for_scripts
def command(force: bool, as_json: bool) -> int:
    """Show which data version the store is written in, and what holds back the newest.

    It goes up by itself, 15 seconds after the last process of an earlier release has ended. Another service
    of the first release on the same server holds it back as well, since channels know no database numbers:
    --force is for that. There is no way back. Exit code 1 until the newest is written.
    """
    upgrade = asyncio.run(_negotiate(force=force))
    if as_json:
        print_json(upgrade)
    else:
        click.echo(words_of(upgrade))
    return 0 if upgrade.done else 1


def words_of(upgrade: Upgrade) -> str:
    """The state in a sentence."""
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
        return f"{version} of {LATEST}: nothing holds it back, it goes up in seconds."
    return f"{version} of {LATEST}, held back by {' and '.join(holding)}."


async def _negotiate(*, force: bool) -> Upgrade:
    async with opened() as (_, redis, _storage):
        return await negotiate(redis, force=force)
