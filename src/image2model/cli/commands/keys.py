"""`image2model keys`: makes, lists and revokes API keys, over HTTP with an admin's key or directly in the
store.

The store is the way to the first key, for which no key exists yet that HTTP would accept.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol
from urllib.parse import quote

import click
import msgspec
from redis.asyncio import Redis

from image2model.access import keys
from image2model.access.keys import KeyDocument, KeyList, KeyRequest
from image2model.cli.connection import client_settings, json_option, service_or_store_options
from image2model.cli.operator import open_store, store_url
from image2model.cli.output import print_json, print_table, table_of
from image2model.client.transport import Call, Transport
from image2model.errors import ConfigurationError
from image2model.settings import load
from image2model.store.identity import settle_names

_PATH: Final = "/api/v1/admin/keys"
_PATIENCE_SECONDS: Final = 10.0


@click.group(short_help="Make, list and revoke API keys.")
def command() -> None:
    """Make, list and revoke API keys.

    Without --url the commands use the store directly: I2M_REDIS_URL, or the store of an `up` on this
    machine.
    """


@command.command()
@click.option("--name", required=True, help="What the key is for; only displayed.")
@click.option("--role", type=click.Choice(["user", "admin"]), default="user", show_default=True)
@click.option(
    "--rate", metavar="60/min", help="Limit of uploads, quotes and retries; default: I2M_RATE_LIMIT."
)
@click.option(
    "--budget", metavar="25.00/month", help="Dollars a day, a month or in total; default: no limit."
)
@click.option(
    "--max-queued", type=click.IntRange(1), help="Limit of unfinished images; default: I2M_MAX_QUEUED."
)
@click.option("--expires", metavar="90d", help="How long the key is valid; default: until it is revoked.")
@click.option(
    "--model",
    "models",
    metavar="PATTERN",
    multiple=True,
    help="A model that the key may use, such as 'fal-ai/*'; '!PATTERN' excludes; repeatable. Default: all.",
)
@click.option("--owner", help="Owner of another key, to share its jobs and budget.")
@service_or_store_options
@json_option
def create(
    name: str,
    role: str,
    rate: str | None,
    budget: str | None,
    max_queued: int | None,
    expires: str | None,
    models: tuple[str, ...],
    owner: str | None,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Make a key. It is shown once; only its hash is kept."""
    options = KeyRequest(
        name=name,
        role="admin" if role == "admin" else "user",
        rate=rate,
        budget=budget,
        max_queued=max_queued,
        expires=expires,
        owner=owner,
        models=models,
    )
    made = asyncio.run(_create(url, key, options))
    if as_json:
        print_json(made)
        return
    click.echo(made.key)
    click.echo(f"key {made.key_id} of {made.name}: store it now, it is not shown again", err=True)


@command.command("list")
@service_or_store_options
@json_option
def listing(url: str | None, key: str | None, as_json: bool) -> None:
    """List all keys by their prefix, with their last use."""
    found = asyncio.run(_listing(url, key))
    if as_json:
        print_json(found)
    else:
        _show(found)


@command.command()
@click.argument("key_id", metavar="KEY_ID")
@service_or_store_options
def revoke(key_id: str, url: str | None, key: str | None) -> None:
    """Revoke a key at once, on every process, by its id or its prefix."""
    asyncio.run(_revoke(url, key, key_id))
    click.echo(f"revoked {key_id}")


async def _create(url: str | None, key: str | None, options: KeyRequest) -> KeyDocument:
    async with key_admin(url, key) as found:
        return await found.create(options)


async def _listing(url: str | None, key: str | None) -> Sequence[KeyDocument]:
    async with key_admin(url, key) as found:
        return (await found.listing()).keys


async def _revoke(url: str | None, key: str | None, key_id: str) -> None:
    async with key_admin(url, key) as found:
        await found.revoke(key_id)


def _show(keys: Sequence[KeyDocument]) -> None:
    from rich.markup import escape

    table = table_of(
        "id", "prefix", "name", "role", "status", "rate", "budget", "queued", "models", "last use"
    )
    for one in keys:
        cells = (one.key_id, one.prefix, one.name, one.role, one.status, one.rate, one.budget)
        limits = (str(one.max_queued or ""), " ".join(one.models), (one.last_used_at or "never")[:16])
        table.add_row(*(escape(cell or "") for cell in (*cells, *limits)))
    print_table(table)


class KeyAdmin(Protocol):
    """What both ways offer."""

    async def create(self, options: KeyRequest) -> KeyDocument:
        """A new key, with its text."""

    async def listing(self) -> KeyList:
        """All keys."""

    async def revoke(self, key_id: str) -> None:
        """Revoke one."""


@asynccontextmanager
async def key_admin(url: str | None, key: str | None) -> AsyncIterator[KeyAdmin]:
    """Over HTTP where `url` is given, else in the store. Raises ConfigurationError, ClickException."""
    if url is not None:
        settings = client_settings(url, key)
        async with Transport(settings.url, settings.api_key, patience=_PATIENCE_SECONDS) as transport:
            yield _HttpKeyAdmin(transport)
        return
    found = store_url(load())
    if found is None:
        raise ConfigurationError(
            ["I2M_REDIS_URL: not set, and no `up` runs on I2M_DATA_DIR; set it, or use --url with a key"]
        )
    async with open_store(found) as redis:
        yield _StoreKeyAdmin(redis)


class _StoreKeyAdmin:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def create(self, options: KeyRequest) -> KeyDocument:
        await settle_names(self._redis)
        return await keys.create(self._redis, options)

    async def listing(self) -> KeyList:
        return await keys.listing(self._redis, int(time.time() * 1000))

    async def revoke(self, key_id: str) -> None:
        await keys.revoke(self._redis, key_id)


class _HttpKeyAdmin:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(self, options: KeyRequest) -> KeyDocument:
        reply = await self._transport.send(Call(method="POST", path=_PATH, body=msgspec.json.encode(options)))
        return msgspec.json.decode(reply.body, type=KeyDocument)

    async def listing(self) -> KeyList:
        reply = await self._transport.send(Call(method="GET", path=_PATH, safe=True))
        return msgspec.json.decode(reply.body, type=KeyList)

    async def revoke(self, key_id: str) -> None:
        await self._transport.send(Call(method="DELETE", path=f"{_PATH}/{quote(key_id, safe='')}", safe=True))
