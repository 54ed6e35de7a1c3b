"""The fleet's secrets: for file tokens and cookies, and for outgoing webhooks.

The first process that needs one makes it and keeps it in the store. They are never logged.
"""

import base64
import secrets
import time
from typing import Final

from redis.asyncio import Redis

from image2model.store.connection import StoreOutage, command
from image2model.store.keys import key
from image2model.store.run_id import last_run_id, store_run

WEBHOOK_PREFIX: Final = "whsec_"
_BYTES: Final = 32
_KEPT_S: Final = 30.0
_RENEW_S: Final = 1.0


class SigningSecret:
    """The secret that signs file tokens, 32 bytes, cached in this process.

    The store decides: one that was restored to an older state, or emptied, holds another secret than the
    cached one.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._run = store_run(redis)
        self._value = b""
        self._read_from = ""
        self._read_at = 0.0
        self._renewed_at = 0.0

    async def get(self) -> bytes:
        """The secret, cached for half a minute and for one run of the store's server; also while the store is
        away.

        Raises StoreOutage if it was never read.
        """
        fresh = time.monotonic() - self._read_at < _KEPT_S and self._read_from == self._run.current
        return self._value if self._value and fresh else await self._read()

    async def renewed(self) -> bytes:
        """The secret as the store has it now, for a token that does not match; read at most once a second."""
        if time.monotonic() - self._renewed_at < _RENEW_S:
            return self._value
        self._renewed_at = time.monotonic()
        return await self._read()

    async def _read(self) -> bytes:
        self._read_from, self._read_at = self._run.current, time.monotonic()
        try:
            self._value = await signing(self._redis)
            self._read_from = last_run_id()
        except StoreOutage:
            if not self._value:
                raise
        return self._value


async def signing(redis: Redis) -> bytes:
    """The signing secret as the store has it now. Raises StoreOutage."""
    return await _made_once(redis, "signing_secret", secrets.token_bytes(_BYTES))


async def webhook(redis: Redis, given: str | None) -> str:
    """The secret that signs outgoing webhooks, `whsec_…`: the `given` one, or the fleet's."""
    if given is not None:
        return given
    made = WEBHOOK_PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
    return (await _made_once(redis, "webhook_secret", made.encode())).decode()


async def _made_once(redis: Redis, name: str, made: bytes) -> bytes:
    """The stored secret, or `made` if there is none. It reads first: a store that takes no writes may have
    one."""
    found: bytes | None = await command(redis, "GET", key(name))
    if found is not None:
        return found
    await command(redis, "SET", key(name), made, "NX")
    first: bytes = await command(redis, "GET", key(name))
    return first
