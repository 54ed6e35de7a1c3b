"""Sessions of the page: a random cookie that stands for a key until its time is up.

Who calls it: the session's routes. The store holds the cookie's SHA-256 and that of the key; a session
is as good as its key, which is looked at again with each request.
"""

import secrets
from typing import Final

from redis.asyncio import Redis

from image2model.store.api_keys import digest
from image2model.store.connection import command
from image2model.store.keys import key

LIFE_SECONDS: Final = 7 * 86_400


async def begin(redis: Redis, key_digest: str) -> str:
    """A new session of a key; returns the cookie's text."""
    cookie = secrets.token_urlsafe(32)
    await command(redis, "SET", key("session", digest(cookie)), key_digest, "EX", LIFE_SECONDS)
    return cookie


async def end(redis: Redis, cookie_digest: str) -> None:
    """The cookie opens nothing from now on."""
    await command(redis, "DEL", key("session", cookie_digest))
