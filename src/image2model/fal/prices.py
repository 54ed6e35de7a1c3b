"""The cost of a request: FAL's billable units times its unit price, else our table; and a cache of FAL's
prices.

How FAL's units relate to the unit of its price is not verified, so neither is trusted where they contradict
the table.
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
_MAX_UNITS: Final = 1_000_000.0
_MAX_MICRO: Final = 1_000 * MICRO
"""No picture costs a thousand dollars: units or prices that come to more are wrong."""
_log: Final = structlog.get_logger(__name__)
_FRESH_S: Final = 600.0
_RETRY_S: Final = 60.0
_DEADLINE_S: Final = 4.0
_CURRENCY: Final = "USD"


Fetch = Callable[[Iterable[str]], Awaitable[dict[str, Price]]]


class Bill(msgspec.Struct, frozen=True):
    """Micro-dollars to book. `uncertain`: FAL gave no amount; `mismatch`: FAL's amount was not plausible."""

    micro: int
    uncertain: bool = False
    mismatch: bool = False


def bill(endpoint: Endpoint, params: Params, units: float | None, unit_price: float | None) -> Bill:
    """The cost of a generation: units × price where FAL gives both, else the table's price.

    `unit_price` is dollars for one unit. The table's price is also booked, as uncertain, where FAL's numbers
    come to less than half of it, or to more than any picture costs.
    """
    units = plausible_units(units)
    if units is None or unit_price is None:
        return table_bill(endpoint, params)
    dollars = units * unit_price
    micro = to_micro(dollars) if dollars * MICRO <= _MAX_MICRO else None
    price = endpoint.price(params)
    if micro is None or (price is not None and 2 * micro < price):
        known = table_bill(endpoint, params, uncertain=True)
        return msgspec.structs.replace(known, mismatch=True)
    return Bill(micro)


def table_bill(endpoint: Endpoint, params: Params, *, uncertain: bool = False) -> Bill:
    """The table's price; where the table has none, the reservation for a run, which is a guess."""
    price = endpoint.price(params)
    if price is None:
        return Bill(endpoint.reservation(params), uncertain=True)
    return Bill(price, uncertain=uncertain)


def billable_units(headers: Mapping[str, str]) -> float | None:
    """The units that FAL bills; None where it gives none, or an implausible number."""
    try:
        units = float(headers[_HEADER])
    except (KeyError, ValueError):
        return None
    return plausible_units(units)


def plausible_units(units: float | None) -> float | None:
    """The same units; None unless they are a finite number from 0 to a million."""
    if units is None or not math.isfinite(units) or not 0 <= units <= _MAX_UNITS:
        return None
    return units


def is_free(refused: FalError) -> bool:
    """Whether FAL bills nothing for this refusal: it never bills a 5xx."""
    return refused.status is not None and refused.status >= _SERVER_ERROR


class PriceCache:
    """One copy for a process. `fetch` is the gateway's `prices`; `deadline_s` bounds each fetch."""

    def __init__(self, fetch: Fetch, *, deadline_s: float = _DEADLINE_S) -> None:
        self._fetch = fetch
        self._deadline_s = deadline_s
        self._prices: Mapping[str, float] | None = None
        self._stale_at = 0.0
        self._failing = False
        self._fetching: asyncio.Task[None] | None = None

    def refresh(self) -> None:
        """Fetch the prices in the background, unless they are fresh or being fetched."""
        if self._fetching is None and monotonic() >= self._stale_at:
            self._fetching = asyncio.create_task(self._refresh())

    async def unit_price(self, model: str) -> float | None:
        """Dollars for one unit of the endpoint's work; None where FAL's price is not known."""
        self.refresh()
        if self._prices is None and self._fetching is not None:
            await asyncio.wait([self._fetching], timeout=self._deadline_s)
        return (self._prices or {}).get(model)

    def close(self) -> None:
        """Stop fetching."""
        if self._fetching is not None:
            self._fetching.cancel()

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                prices = await self._fetch(ENDPOINTS)
        except (FalError, TimeoutError) as error:
            self._stale_at = monotonic() + _RETRY_S
            if not self._failing:
                _log.warning("fal_prices_unavailable", reason=str(error) or "no answer in time")
            self._failing = True
        else:
            self._prices = {model: price.unit_price for model, price in prices.items() if _usable(price)}
            self._stale_at = monotonic() + _FRESH_S
            self._failing = False
        finally:
            self._fetching = None


def _usable(price: Price) -> bool:
    return price.currency == _CURRENCY and math.isfinite(price.unit_price) and price.unit_price > 0
