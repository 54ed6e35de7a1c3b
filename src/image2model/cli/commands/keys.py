"""`image2model keys create/list/revoke`."""

import asyncio
from collections.abc import Sequence

import click

from image2model.cli.connection import connected_or_local, for_scripts, print_json
from image2model.cli.key_desk import desk
from image2model.cli.tables import print_table, table_of
from image2model.service.keys import KeyDocument, KeyWish


@click.group(short_help="Make, list and revoke API keys.")
def command() -> None:
    """Make, list and revoke API keys.

    Without --url they talk to the store itself: I2M_REDIS_URL, or that of an `up` on this machine.
    """


@command.command()
@click.option("--name", required=True, help="What it is for; only shown.")
@click.option("--role", type=click.Choice(["user", "admin"]), default="user", show_default=True)
@click.option("--rate", metavar="60/min", help="Uploads, quotes and retries; default: I2M_RATE_LIMIT.")
@click.option("--budget", metavar="25.00/month", help="Dollars a day, month or in total; default: no bound.")
@click.option("--max-queued", type=click.IntRange(1), help="Unfinished images; default: I2M_MAX_QUEUED.")
@click.option("--expires", metavar="90d", help="How long it is good for; default: until it is revoked.")
@click.option("--owner", help="The owner of another key, whose jobs and budget it is to share.")
@connected_or_local
@for_scripts
def create(
    name: str,
    role: str,
    rate: str | None,
    budget: str | None,
    max_queued: int | None,
    expires: str | None,
    owner: str | None,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Make a key. It is shown once, and kept only as its hash."""
    wish = KeyWish(
        name=name,
        role="admin" if role == "admin" else "user",
        rate=rate,
        budget=budget,
        max_queued=max_queued,
        expires=expires,
        owner=owner,
    )
    made = asyncio.run(_create(url, key, wish))
    if as_json:
        print_json(made)
        return
    click.echo(made.key)
    click.echo(f"key {made.key_id} of {made.name}: keep it now, it is not shown again", err=True)


@command.command("list")
@connected_or_local
@for_scripts
def listing(url: str | None, key: str | None, as_json: bool) -> None:
    """List all keys by their prefix, with their last use."""
    found = asyncio.run(_listing(url, key))
    if as_json:
        print_json(found)
    else:
        _show(found)


@command.command()
@click.argument("key_id", metavar="KEY_ID")
@connected_or_local
def revoke(key_id: str, url: str | None, key: str | None) -> None:
    """End a key at once, on every process; by its id or its prefix."""
    asyncio.run(_revoke(url, key, key_id))
    click.echo(f"revoked {key_id}")


async def _create(url: str | None, key: str | None, wish: KeyWish) -> KeyDocument:
    async with desk(url, key) as found:
        return await found.create(wish)


async def _listing(url: str | None, key: str | None) -> Sequence[KeyDocument]:
    async with desk(url, key) as found:
        return (await found.listing()).keys


async def _revoke(url: str | None, key: str | None, key_id: str) -> None:
    async with desk(url, key) as found:
        await found.revoke(key_id)


def _show(keys: Sequence[KeyDocument]) -> None:
    from rich.markup import escape

    table = table_of("id", "prefix", "name", "role", "status", "rate", "budget", "queued", "last use")
    for one in keys:
        cells = (one.key_id, one.prefix, one.name, one.role, one.status, one.rate, one.budget)
        limits = (str(one.max_queued or ""), (one.last_used_at or "never")[:16])
        table.add_row(*(escape(cell or "") for cell in (*cells, *limits)))
    print_table(table)
