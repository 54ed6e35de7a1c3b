"""The cost of a request: FAL's billable units times its unit price, else our table.

How FAL's units relate to the unit of its price is not verified, so neither is trusted where they contradict
the table.
"""

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from image2model.errors import FalError
from image2model.fal.endpoints import Endpoint, Params
from image2model.money import MICRO, to_micro

_HEADER: Final = "x-fal-billable-units"
_SERVER_ERROR: Final = 500
_MAX_UNITS: Final = 1_000_000.0
_MAX_MICRO: Final = 1_000 * MICRO
"""No picture costs a thousand dollars: units or prices that come to more are wrong."""


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
