"""Exponential backoff with full jitter. Who calls it: whatever tries again.

Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from image2model.store.connection import StoreOutage

BASE_S: Final = 1.0
CAP_S: Final = 60.0


def full_jitter(tries: int, *, base_s: float = BASE_S, cap_s: float = CAP_S) -> float:
    """Seconds to wait after `tries` earlier failures: uniform between 0 and min(cap, base × 2^tries)."""
    return random.uniform(0, min(cap_s, base_s * 2 ** min(tries, 30)))  # noqa: S311 - spreads load


_log = structlog.get_logger("worker.told")

_FIRST_PAUSE_S: Final = 0.05
_LAST_PAUSE_S: Final = 1.0

T = TypeVar("T")


async def retry_until_stored(tell: Callable[[], Awaitable[T]]) -> T:
    """The store's reply, however long that takes. Raises what is no outage: StaleFence."""
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return await tell()
        except StoreOutage as error:
            if pause == _FIRST_PAUSE_S:
                _log.error("outcome_not_stored", error=str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE_S)
