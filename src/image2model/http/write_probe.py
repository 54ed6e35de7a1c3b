"""Whether the store takes writes: tried at most every 5 s, however many callers ask.

One write is under way at a time, and all callers that wait meanwhile share its result. Readiness, metrics and
uploads use it.
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
from image2model.store.connection import reach

KEPT_SECONDS: Final = 5.0
_DEADLINE_SECONDS: Final = 2.0
_log: Final = structlog.stdlib.get_logger(__name__)


class WriteProbe:
    """Belongs to one event loop."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._probing = asyncio.Lock()
        self._found: StoreCondition | None = None
        self._until = 0.0
        self._began = 0.0

    async def condition(self) -> StoreCondition:
        """As of `KEPT_SECONDS` ago at most. Never raises StoreOutage."""
        return await self._since(0.0)

    async def require(self) -> None:
        """Return if the store answers now and takes writes.

        Raises StoreOutage where it does not answer, StoreUnavailable where it takes no writes.
        """
        await reach(self._redis)
        await self.require_writable()

    async def require_writable(self) -> None:
        """Raises StoreUnavailable while the store takes no writes. A refused write is tried again first."""
        if await self.condition() is StoreCondition.WRITABLE:
            return
        found = await self._since(monotonic())
        if found is not StoreCondition.WRITABLE:
            raise problems.store_is(found)

    def forget(self) -> None:
        """A request has met a store that is not well: try a write again for the next caller."""
        self._until = 0.0

    async def _since(self, moment: float) -> StoreCondition:
        """By a write that began at `moment` or later: all callers that wait for one share the next."""
        async with self._probing:
            if self._found is None or self._began < moment or monotonic() >= self._until:
                self._found = await self._probe()
            return self._found

    async def _probe(self) -> StoreCondition:
        self._began = monotonic()
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                found = await condition.probe(self._redis)
        except TimeoutError:
            found = StoreCondition.AWAY
        if found is not (self._found or StoreCondition.WRITABLE):
            _log.log(_level(found), "store_condition", condition=found.value, advice=condition.advice(found))
        self._until = monotonic() + KEPT_SECONDS
        return found


def _level(found: StoreCondition) -> int:
    return logging.INFO if found is StoreCondition.WRITABLE else logging.ERROR


class Check(msgspec.Struct, frozen=True):
    """One finding of a health check, in a sentence."""

    ok: bool
    detail: str
