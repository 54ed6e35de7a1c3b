"""FAL's unit prices, read at a worker's start and again once they are ten minutes old.

Who calls it: the booking of costs. FAL being away, or a key that may not see prices, is no error here: the
last good copy stays, and without one nothing is known. A booking waits for the first copy only, and not long.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import monotonic
from typing import Final

import structlog

from image2model.errors import FalError
from image2model.fal.endpoints import ENDPOINTS
from image2model.fal.wire import Price

_log: Final = structlog.get_logger("worker.prices")

_KEPT_S: Final = 600.0
_AGAIN_S: Final = 60.0
_DEADLINE_S: Final = 4.0
_CURRENCY: Final = "USD"

Ask = Callable[[Iterable[str]], Awaitable[dict[str, Price]]]


class PriceCache:
    """One copy for a process. `ask` is the gateway's `prices`; `deadline_s` bounds each reading."""

    def __init__(self, ask: Ask, *, deadline_s: float = _DEADLINE_S) -> None:
        self._ask = ask
        self._deadline_s = deadline_s
        self._prices: Mapping[str, float] | None = None
        self._stale_at = 0.0
        self._failing = False
        self._reading: asyncio.Task[None] | None = None

    def refresh(self) -> None:
        """Read the prices in the background, unless they are fresh or being read."""
        if self._reading is None and monotonic() >= self._stale_at:
            self._reading = asyncio.create_task(self._read())

    async def unit_price(self, model: str) -> float | None:
        """Dollars for one unit of the endpoint's work; None where FAL's price is not known."""
        self.refresh()
        if self._prices is None and self._reading is not None:
            await asyncio.wait([self._reading], timeout=self._deadline_s)
        return (self._prices or {}).get(model)

    def close(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                prices = await self._ask(ENDPOINTS)
        except (FalError, TimeoutError) as error:
            self._stale_at = monotonic() + _AGAIN_S
            if not self._failing:
                _log.warning("fal_prices_unavailable", reason=str(error) or "no answer in time")
            self._failing = True
        else:
            self._prices = {model: price.unit_price for model, price in prices.items() if _usable(price)}
            self._stale_at = monotonic() + _KEPT_S
            self._failing = False
        finally:
            self._reading = None


def _usable(price: Price) -> bool:
    return price.currency == _CURRENCY and math.isfinite(price.unit_price) and price.unit_price > 0
