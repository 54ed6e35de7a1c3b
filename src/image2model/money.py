"""Money as integers in micro-dollars (1 USD = 1,000,000), so that sums are exact.

Floats appear only where JSON shows dollars.
"""

from decimal import ROUND_HALF_UP, Decimal

MICRO = 1_000_000


def to_micro(usd: str | Decimal | float) -> int:
    """Convert dollars to micro-dollars, rounded half up. A float counts as its shortest decimal form."""
    return int((Decimal(str(usd)) * MICRO).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def to_usd(micro: int) -> float:
    """Convert micro-dollars to the dollars of JSON documents."""
    return micro / MICRO
