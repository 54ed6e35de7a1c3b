"""Waiting and trying again: exponential backoff with full jitter, and a write that is repeated until stored.

Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import structlog

from image2model.store.connection import StoreOutage

_log = structlog.get_logger(__name__)

BASE_S: Final = 1.0
CAP_S: Final = 60.0
_FIRST_PAUSE_S: Final = 0.05
_LAST_PAUSE_S: Final = 1.0

P = ParamSpec("P")
T = TypeVar("T")


def full_jitter(tries: int, *, base_s: float = BASE_S, cap_s: float = CAP_S) -> float:
    """Seconds to wait after `tries` earlier failures: uniform between 0 and min(cap, base × 2^tries)."""
    return random.uniform(0, min(cap_s, base_s * 2 ** min(tries, 30)))  # noqa: S311 - spreads load


async def retry_until_stored(write: Callable[[], Awaitable[T]]) -> T:
    """Repeat `write` through every outage, however long, and return its reply.

    Raises what is no outage, such as StaleFence.
    """
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return await write()
        except StoreOutage as error:
            if pause == _FIRST_PAUSE_S:
                _log.error("outcome_not_stored", error=str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE_S)


def until_stored(step: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The step, repeated until the store has answered. Its script may run twice."""

    @wraps(step)
    async def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        return await retry_until_stored(lambda: step(*args, **kwargs))

    return repeated
