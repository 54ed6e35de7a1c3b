"""Rate limits in the memory of one process, for the time that the store takes no writes.

Who calls it: the rate guard, for guesses: a secret that a person chose must not become free to guess because
the store is full. The algorithm is the store's (`take_rate.lua`), a bucket is when it will be full again.
"""

import math
from collections import OrderedDict
from time import monotonic
from typing import Final

from image2model.store.rates import Bucket, BucketState

_MOST: Final = 10_000
"""Buckets kept; beyond it the one used longest ago is forgotten."""


class LocalRates:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, bucket: Bucket, *, peek: bool = False) -> BucketState:
        """Take one from the bucket, if it has one. `peek`: only look."""
        count, period = bucket.rate
        now = monotonic()
        full_at = max(self._full_at.get(bucket.name, now), now)
        retry = max(0.0, full_at + period / count - period - now)
        if not retry and not peek:
            full_at += period / count
            self._keep(bucket.name, full_at)
        remaining = math.floor((now + period - full_at) * count / period + 1e-6)
        return BucketState(
            retry == 0, max(0, remaining), math.ceil((full_at - now) * 1000), math.ceil(retry * 1000)
        )

    def _keep(self, name: str, full_at: float) -> None:
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        while len(self._full_at) > _MOST:
            self._full_at.popitem(last=False)
