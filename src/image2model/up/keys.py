"""Whether anybody could use what `up` is about to open to a network.

Who calls it: the supervisor, once the store answers. It only reads.
"""

import asyncio

from image2model.store import api_keys
from image2model.store.connection import StoreOutage, connect
from image2model.up.errors import StartError


def require_a_key(redis_url: str, host: str) -> None:
    """Raises StartError where no key exists."""
    try:
        found = asyncio.run(_any_good(redis_url))
    except StoreOutage as error:
        raise StartError(f"I2M_REDIS_URL: the store does not answer: {error}") from error
    if not found:
        raise StartError(
            f"no API key exists, and {host} is open to the network. Set I2M_ADMIN_KEY to a long "
            "random text, the first admin key, or run `up` on 127.0.0.1 and make a key with "
            "`image2model keys create`"
        )


async def _any_good(redis_url: str) -> bool:
    async with connect(redis_url) as redis:
        return await api_keys.any_good(redis)
