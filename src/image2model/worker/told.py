"""What only this process knows, told until the store has heard it.

Who calls it: the steps that end something which is paid for. While the store is away they wait here with what
they have; a lost lease or the end of the process ends the wait.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from image2model.store.connection import StoreOutage

_log = structlog.get_logger("worker.told")

_FIRST_PAUSE_S: Final = 0.05
_LAST_PAUSE_S: Final = 1.0

T = TypeVar("T")


async def told(tell: Callable[[], Awaitable[T]]) -> T:
    """The store's reply, however long that takes. Raises what is no outage: StaleFence."""
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return await tell()
        except StoreOutage as error:
            if pause == _FIRST_PAUSE_S:
                _log.error("could not store what became of an image, again until it is", error=str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE_S)
