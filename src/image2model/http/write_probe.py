"""Whether the store takes writes, tried at most every 5 s however often it is asked for.

Who calls it: the readiness check, metrics, and uploads before they take in a body. One write is under way at
a time, and everybody who asks meanwhile gets its answer.
"""

import asyncio
import logging
from time import monotonic
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.http import problems
from image2model.store import condition
from image2model.store.condition import StoreCondition

KEPT_SECONDS: Final = 5.0
_DEADLINE_SECONDS: Final = 2.0
_log: Final = structlog.stdlib.get_logger(__name__)


class WriteProbe:
    """Belongs to one event loop."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._asking = asyncio.Lock()
        self._found: StoreCondition | None = None
        self._until = 0.0
        self._began = 0.0

    async def condition(self) -> StoreCondition:
        """As of `KEPT_SECONDS` ago at most. Never raises StoreOutage."""
        return await self._since(0.0)

    async def _since(self, moment: float) -> StoreCondition:
        """By a write that began then or later: all who wait for one share the next."""
        async with self._asking:
            if self._found is None or self._began < moment or monotonic() >= self._until:
                await self._ask()
            assert self._found is not None  # noqa: S101 - `_ask` has set it
            return self._found

    def forget(self) -> None:
        """A request has met a store that is not well: the next who asks has it tried again."""
        self._until = 0.0

    async def require(self) -> None:
        """Raises StoreUnavailable while the store takes no writes. A refusal is asked for anew."""
        if await self.condition() is StoreCondition.WRITABLE:
            return
        found = await self._since(monotonic())
        if found is not StoreCondition.WRITABLE:
            raise problems.store_is(found)

    async def _ask(self) -> None:
        self._began = monotonic()
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                found = await condition.probe(self._redis)
        except TimeoutError:
            found = StoreCondition.AWAY
        if found is not (self._found or StoreCondition.WRITABLE):
            _log.log(_level(found), "store_condition", condition=found.value, advice=condition.advice(found))
        self._found = found
        self._until = monotonic() + KEPT_SECONDS


def _level(found: StoreCondition) -> int:
    return logging.INFO if found is StoreCondition.WRITABLE else logging.ERROR


class Check(msgspec.Struct, frozen=True):
    """What was found, in a sentence."""

    ok: bool
    detail: str
