"""What the store is to one process: does it take writes, and if not, why? Read when somebody scrapes.

Who calls it: `/metrics` of the API, with what its probe of the store has found. It is told where the fleet's
gauges cannot be: a store that is away is the case that matters most.
"""

from collections.abc import Iterator, Sequence

import msgspec
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily


class StoreGauges(msgspec.Struct, kw_only=True, eq=False):
    """`state` is one of `states`; `writable` is whether that is the good one."""

    state: str
    states: Sequence[str]
    writable: bool

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's collector interface."""
        writable = "1 while the store takes writes, as tried by this process."
        yield GaugeMetricFamily("image2model_store_writable", writable, value=int(self.writable))
        state = GaugeMetricFamily(
            "image2model_store_state",
            "1 for the state that the store is in, 0 for the others.",
            labels=["state"],
        )
        for name in self.states:
            state.add_metric([name], int(name == self.state))
        yield state
