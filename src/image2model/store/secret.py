"""The fleet's secrets: made once by whoever asks first, kept in the store.

Who calls it: each API process at start (file tokens and cookies); the worker and `doctor` (outgoing
webhooks). They are never logged.
"""

import base64
import secrets
from typing import Final

from redis.asyncio import Redis

from image2model.store.connection import command
from image2model.store.keys import key

WEBHOOK_PREFIX: Final = "whsec_"
_BYTES: Final = 32


async def signing(redis: Redis) -> bytes:
    """The secret that signs file tokens and cookies, 32 bytes; it never leaves the process."""
    return await _made_once(redis, "signing_secret", secrets.token_bytes(_BYTES))


async def webhook(redis: Redis, given: str | None) -> str:
    """The secret that signs outgoing webhooks, `whsec_…`: the one `given`, or one made for the fleet."""
    if given is not None:
        return given
    made = WEBHOOK_PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
    return (await _made_once(redis, "webhook_secret", made.encode())).decode()


async def _made_once(redis: Redis, name: str, made: bytes) -> bytes:
    await command(redis, "SET", key(name), made, "NX")
    found: bytes = await command(redis, "GET", key(name))
    return found
