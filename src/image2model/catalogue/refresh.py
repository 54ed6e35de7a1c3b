"""The loop of a worker that keeps the store's copy fresh: one worker of the fleet reads FAL at a time.

A refresh that fails leaves everything as it was, and is tried again sooner. The account's balance is read by
the same loop, at its own pace.
"""

import asyncio
import secrets
import time
from contextlib import suppress
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.catalogue import bills, reading, stored
from image2model.catalogue.credits import CreditsReader
from image2model.catalogue.live import LiveCatalogue
from image2model.catalogue.reading import FalModels
from image2model.catalogue.stored import CatalogueCopy
from image2model.errors import FalError
from image2model.fal.endpoints.builtin import built_in_schemas
from image2model.fal.hosts import FalHosts
from image2model.store.connection import StoreOutage

_log: Final = structlog.stdlib.get_logger(__name__)
EVERY_S: Final = 600.0
RETRY_S: Final = 60.0
DEADLINE_S: Final = 120.0
"""A whole reading; the lock lasts longer."""
_LOOK_S: Final = 15.0
"""How often a worker looks whether a refresh is due, whose notification may be lost."""


class Refresher:
    """Reads FAL for the whole fleet. `admin_key`: reads the balance too."""

    def __init__(
        self, redis: Redis, live: LiveCatalogue, fal: FalModels, hosts: FalHosts, admin_key: str | None
    ) -> None:
        self._redis = redis
        self._live = live
        self._fal = fal
        self._credits = CreditsReader(redis, hosts, admin_key) if admin_key else None

    async def run(self) -> None:
        """Refresh when it is due, until cancelled."""
        notified = self._live.listen()
        while True:
            try:
                if await self.refresh_if_due():
                    await self._warn_of_drift()
                if self._credits is not None:
                    await self._credits.read_if_due()
            except StoreOutage as error:
                _log.info("catalogue_not_refreshed", error=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await notified.wait()
            notified.clear()

    async def refresh_if_due(self, *, every_s: float = EVERY_S, retry_s: float = RETRY_S) -> bool:
        """Read FAL and store the result, unless another worker does or it is too early.

        Raises StoreOutage.
        """
        token = secrets.token_hex(8)
        if not await stored.begin(
            self._redis, token, every_ms=int(every_s * 1000), retry_ms=int(retry_s * 1000)
        ):
            return False
        began = time.monotonic()
        try:
            async with asyncio.timeout(DEADLINE_S):
                copy = await reading.read(self._fal, await self._before(), int(time.time() * 1000))
                version, body = await asyncio.to_thread(stored.encode, copy)
        except (FalError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            _log.warning("catalogue_refresh_failed", reason=reason)
            return await stored.fail(self._redis, token, reason[:500])
        except BaseException as error:
            with suppress(StoreOutage):  # the lock must not hold up the next worker
                await stored.fail(self._redis, token, f"interrupted: {type(error).__name__}")
            raise
        done = await stored.succeed(self._redis, token, version, body)
        _log.info(
            "catalogue_refreshed",
            endpoints=len(copy.schemas),
            bytes=len(body),
            version=version,
            seconds=round(time.monotonic() - began, 3),
        )
        return done

    async def _warn_of_drift(self) -> None:
        for drift in await bills.drifts(self._redis):
            if drift.is_large:
                _log.warning(
                    "price_drift", model=drift.model, ratio=round(drift.ratio, 3), bookings=drift.bookings
                )

    async def _before(self) -> CatalogueCopy:
        """The store's copy; the built-in one where there is none, or another release wrote it."""
        _, body = await stored.read(self._redis)
        copy = await asyncio.to_thread(_decoded, body)
        return copy or CatalogueCopy(schemas=tuple(built_in_schemas()), prices={})


def _decoded(body: bytes) -> CatalogueCopy | None:
    try:
        return stored.decode(body) if body else None
    except msgspec.DecodeError as error:
        _log.warning("catalogue_unreadable", error=str(error))
        return None
