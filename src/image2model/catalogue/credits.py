"""Reads the account's balance with the admin key, for the whole fleet every few minutes.

The admin key goes to FAL's platform API only, over a session of its own.
"""

import asyncio
from typing import Final

import structlog
from redis.asyncio import Redis

from image2model.catalogue import balance
from image2model.errors import FalError
from image2model.fal.hosts import FalHosts
from image2model.fal.models_api import ModelsApi
from image2model.fal.session import FalSession
from image2model.money import to_micro, to_usd
from image2model.store.connection import command
from image2model.store.keys import FLEET_TTL_MS, key

_log: Final = structlog.stdlib.get_logger(__name__)
EVERY_MS: Final = 180_000
_DEADLINE_S: Final = 15.0
_CURRENCY: Final = "USD"


class CreditsReader:
    """Reads the balance every few minutes, one worker of the fleet at a time."""

    def __init__(self, redis: Redis, hosts: FalHosts, admin_key: str) -> None:
        self._redis = redis
        self._hosts = hosts
        self._admin_key = admin_key

    async def read_if_due(self) -> bool:
        """Read it, unless the fleet did so lately. Raises StoreOutage."""
        due = await command(self._redis, "SET", key("lock", "balance"), "1", "NX", "PX", EVERY_MS)
        if not due:
            return False
        try:
            async with asyncio.timeout(_DEADLINE_S):
                micro = await self._fetch()
        except (FalError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            _log.warning("fal_balance_unavailable", reason=reason)
            await self._store("error", reason[:300])
            return False
        seconds, micros = await command(self._redis, "TIME")
        at = int(seconds) * 1000 + int(micros) // 1000
        await self._store("micro", micro, "read_at", at, "error", "")
        await self._warn()
        return True

    async def _fetch(self) -> int:
        session = FalSession(self._admin_key, self._hosts, max_connections=1)
        await session.open()
        try:
            found = await ModelsApi(session).credits()
        finally:
            await session.close()
        if found is None or (found.currency or _CURRENCY) != _CURRENCY:
            raise FalError("FAL gives no balance in US dollars")
        return to_micro(found.current_balance)

    async def _store(self, *fields: str | int) -> None:
        pipe = self._redis.pipeline(transaction=True)
        pipe.execute_command("HSET", key("fal_account"), *fields)
        pipe.execute_command("PEXPIRE", key("fal_account"), FLEET_TTL_MS)
        await pipe.execute()

    async def _warn(self) -> None:
        found = await balance.read(self._redis)
        if found is not None and found.low and found.micro is not None:
            _log.warning("fal_balance_low", balance_usd=to_usd(found.micro), enough_for=found.enough_for)
