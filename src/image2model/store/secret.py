"""The fleet's secrets: made once by whoever asks first, kept in the store.

Who calls it: each API process at start (file tokens and cookies); the worker and `doctor` (outgoing
webhooks). They are never logged.
"""

import base64
import secrets
import time
from typing import Final

from redis.asyncio import Redis

from image2model.store.connection import StoreOutage, command
from image2model.store.keys import key
from image2model.store.run_id import store_run, last_run_id

WEBHOOK_PREFIX: Final = "whsec_"
_BYTES: Final = 32
_KEPT_S: Final = 30.0
_RENEW_S: Final = 1.0


class SigningSecret:
    """The secret that signs file tokens, 32 bytes; it never leaves the process.

    The store's own is the fleet's: one that came back older, or empty, has another than is kept here.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._life = store_run(redis)
        self._value = b""
        self._of_life = ""
        self._read_at = 0.0
        self._renewed_at = 0.0

    async def get(self) -> bytes:
        """Half a minute old at most, and of this life of the store; kept while the store does not answer.

        Raises StoreOutage where it was never read.
        """
        fresh = time.monotonic() - self._read_at < _KEPT_S and self._of_life == self._life.current
        return self._value if self._value and fresh else await self._read()

    async def renewed(self) -> bytes:
        """As the store has it now, for a token unknown here; read at most once a second."""
        if time.monotonic() - self._renewed_at < _RENEW_S:
            return self._value
        self._renewed_at = time.monotonic()
        return await self._read()

    async def _read(self) -> bytes:
        self._of_life, self._read_at = self._life.current, time.monotonic()
        try:
            self._value = await signing(self._redis)
            self._of_life = last_run_id()
        except StoreOutage:
            if not self._value:
                raise
        return self._value


async def signing(redis: Redis) -> bytes:
    """The same, as the store has it now. Raises StoreOutage."""
    return await _made_once(redis, "signing_secret", secrets.token_bytes(_BYTES))


async def webhook(redis: Redis, given: str | None) -> str:
    """The secret that signs outgoing webhooks, `whsec_…`: the one `given`, or one made for the fleet."""
    if given is not None:
        return given
    made = WEBHOOK_PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
    return (await _made_once(redis, "webhook_secret", made.encode())).decode()


async def _made_once(redis: Redis, name: str, made: bytes) -> bytes:
    """Read first: a store that takes no writes has one already."""
    found: bytes | None = await command(redis, "GET", key(name))
    if found is not None:
        return found
    await command(redis, "SET", key(name), made, "NX")
    first: bytes = await command(redis, "GET", key(name))
    return first
