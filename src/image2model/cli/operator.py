"""Opens the store and the storage for operators' commands, which work on them directly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import click
from redis.asyncio import Redis
from redis.exceptions import RedisError

from image2model.errors import ConfigurationError
from image2model.settings import Settings, load
from image2model.storage.address import open_storage
from image2model.storage.objects import ObjectStorage
from image2model.store.condition import advice, condition_of, describe
from image2model.store.connection import connect
from image2model.up.store import socket_path, store_folder


def store_url(settings: Settings) -> str | None:
    """I2M_REDIS_URL, or the store of an `up` that runs on the data folder; None where there is neither."""
    return settings.redis_url or _url_of_up(settings.data_dir)


def _url_of_up(data_dir: Path) -> str | None:
    path = socket_path(store_folder(data_dir))
    return f"unix://{quote(str(path))}" if path.exists() else None


@asynccontextmanager
async def open_service() -> AsyncIterator[tuple[Settings, Redis, ObjectStorage]]:
    """The settings, the store and the storage. Raises ConfigurationError, ClickException."""
    settings = load()
    url = await asyncio.to_thread(store_url, settings)
    if url is None:
        raise ConfigurationError(
            [f"I2M_REDIS_URL is not set, and no `up` runs on {settings.data_dir}: set it, or start `up`"]
        )
    storage = await asyncio.to_thread(open_storage, settings.storage_url)
    async with open_store(url) as redis:
        yield settings, redis, storage


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Redis]:
    """The store at this URL. Raises ClickException, which says what is wrong with it."""
    try:
        async with connect(url) as redis:
            yield redis
    except RedisError as error:
        found = condition_of(error)
        message = f"{describe(found)}; {advice(found)}" if found else f"the store refused a command: {error}"
        raise click.ClickException(message) from error
