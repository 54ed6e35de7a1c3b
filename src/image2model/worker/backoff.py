"""Exponential backoff with full jitter. Who calls it: whatever tries again.

Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

import random
from typing import Final

BASE_S: Final = 1.0
CAP_S: Final = 60.0


def full_jitter(tries: int, *, base_s: float = BASE_S, cap_s: float = CAP_S) -> float:
    """Seconds to wait after `tries` earlier failures: uniform between 0 and min(cap, base × 2^tries)."""
    return random.uniform(0, min(cap_s, base_s * 2 ** min(tries, 30)))  # noqa: S311 - spreads load
