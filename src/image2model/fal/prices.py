"""What a request costs by what FAL says of it: billable units, a unit's price, else our table. Pure.

Who calls it: the gateway reads the header, the worker works out the amount. How FAL's units relate to the
unit of its price is not verified, so neither is believed where they contradict the table.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import monotonic
from typing import Final

import msgspec
import structlog

from image2model.errors import FalError
from image2model.fal.endpoints import ENDPOINTS, Endpoint, Params
from image2model.fal.wire import Price
from image2model.money import MICRO, to_micro

_HEADER: Final = "x-fal-billable-units"
_SERVER_ERROR: Final = 500
_MOST_UNITS: Final = 1_000_000.0
_MOST_MICRO: Final = 1_000 * MICRO
"""No picture costs a thousand dollars: units or prices that say so are a fault."""


class Bill(msgspec.Struct, frozen=True):
    """Micro-dollars to book. `uncertain`: FAL did not say; `mismatch`: what it said was not believed."""

    micro: int
    uncertain: bool = False
    mismatch: bool = False


def billable_units(headers: Mapping[str, str]) -> float | None:
    """FAL's word on what it bills; None where it gives none that makes sense."""
    try:
        units = float(headers[_HEADER])
    except (KeyError, ValueError):
        return None
    return sensible(units)


def sensible(units: float | None) -> float | None:
    """The same units; None for what is no finite number from 0 to a million."""
    if units is None or not math.isfinite(units) or not 0 <= units <= _MOST_UNITS:
        return None
    return units


def is_free(refused: FalError) -> bool:
    """FAL bills no 5xx, whether another attempt would help or not."""
    return refused.status is not None and refused.status >= _SERVER_ERROR


def by_table(endpoint: Endpoint, params: Params, *, uncertain: bool = False) -> Bill:
    """The table's price; where it knows none, what is set aside for a run, which is a guess."""
    price = endpoint.price(params)
    if price is None:
        return Bill(endpoint.reservation(params), uncertain=True)
    return Bill(price, uncertain=uncertain)


def bill(endpoint: Endpoint, params: Params, units: float | None, unit_price: float | None) -> Bill:
    """What a generation costs: units × price where FAL gives both, else the table's price.

    `unit_price` is dollars for one unit. The table's price is also booked, as uncertain, where FAL's numbers
    come to less than half of it, or to more than any picture costs.
    """
    units = sensible(units)
    if units is None or unit_price is None:
        return by_table(endpoint, params)
    dollars = units * unit_price
    micro = to_micro(dollars) if dollars * MICRO <= _MOST_MICRO else None
    price = endpoint.price(params)
    if micro is None or (price is not None and 2 * micro < price):
        known = by_table(endpoint, params, uncertain=True)
        return msgspec.structs.replace(known, mismatch=True)
    return Bill(micro)


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
