"""The secret that signs file tokens and cookies: made once for the fleet, kept in the store.

Who calls it: each API process at start. It is never logged and never leaves the process.
"""

import secrets

from redis.asyncio import Redis

from image2model.store.connection import command
from image2model.store.keys import key


async def signing(redis: Redis) -> bytes:
    """The fleet's signing secret, 32 bytes; made by whoever asks first."""
    await command(redis, "SET", key("signing_secret"), secrets.token_bytes(32), "NX")
    found: bytes = await command(redis, "GET", key("signing_secret"))
    return found
