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
from image2model.store.script import Script

LIFE_SECONDS: Final = 7 * 86_400
MOST: Final = 100
"""Sessions of one key: whoever has it could otherwise fill the store with them."""

_BEGIN: Final = Script("begin_session")


async def begin(redis: Redis, key_digest: str) -> str:
    """A new session of a key; returns the cookie's text. The oldest ends where there are `MOST`."""
    cookie = secrets.token_urlsafe(32)
    await _BEGIN.packed(redis, digest(cookie), key_digest, LIFE_SECONDS, MOST)
    return cookie


async def end(redis: Redis, cookie_digest: str) -> None:
    """The cookie opens nothing from now on."""
    await command(redis, "DEL", key("session", cookie_digest))
