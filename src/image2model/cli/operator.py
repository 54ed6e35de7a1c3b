"""The store and the storage of the service on this machine, for operators' commands.

Who calls it: `backup` and `restore`. It reads the same environment as the service; without I2M_REDIS_URL
it takes the embedded store of the `up` that runs on I2M_DATA_DIR.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
from redis.asyncio import Redis
from redis.exceptions import RedisError

from image2model.cli.local_store import store_url
from image2model.errors import ConfigurationError
from image2model.settings import Settings, load
from image2model.storage.address import open_storage
from image2model.storage.objects import ObjectStorage
from image2model.store.condition import advice, condition_of, describe
from image2model.store.connection import connect


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[Settings, Redis, ObjectStorage]]:
    """Raises ConfigurationError, and click.ClickException where the store does not answer."""
    settings = load()
    url = await asyncio.to_thread(store_url, settings)
    if url is None:
        raise ConfigurationError(
            [f"I2M_REDIS_URL is not set, and no `up` runs on {settings.data_dir}: start it, or set the URL"]
        )
    storage = await asyncio.to_thread(open_storage, settings.storage_url)
    try:
        async with connect(url) as redis:
            yield settings, redis, storage
    except RedisError as error:
        found = condition_of(error)
        words = f"{describe(found)}; {advice(found)}" if found else f"the store refused a command: {error}"
        raise click.ClickException(words) from error
