"""Money as integers: micro-dollars (1 USD = 1,000,000), so that sums are exact.

Who calls it: whatever counts cost. Floats appear only where JSON shows dollars.
"""

from decimal import ROUND_HALF_UP, Decimal

MICRO = 1_000_000


def to_micro(usd: str | Decimal | float) -> int:
    """Dollars to micro-dollars, rounded half up. A float is read by its shortest decimal form."""
    return int((Decimal(str(usd)) * MICRO).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def to_usd(micro: int) -> float:
    """Micro-dollars to the dollars of the JSON documents."""
    return micro / MICRO
