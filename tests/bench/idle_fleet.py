"""Rows: a hundred workers with nothing to do: the store's CPU, and how soon a picture still starts.

Who calls it: the bench. The workers start ten at a time: a hundred at once would starve each other.
"""

import asyncio

from tests.bench.pick_up import arrival_ms
from tests.bench.row import Row, at_most
from tests.bench.world import world
from tests.support.ports import free_port

_AT_ONCE = 10
_SETTLE_S = 15.0


def run(quick: bool) -> list[Row]:
    """Two rows."""
    workers, seconds, singles = (5, 5.0, 5) if quick else (100, 30.0, 20)
    share, arrival = asyncio.run(_measure(workers, seconds, singles))
    name = f"{workers} idle workers"
    return [
        at_most(f"{name}: CPU of the store", share * 100, 10, "% of a core"),
        at_most(f"{name}: 202 to FAL's submit arriving: p50", arrival, 15, "ms"),
    ]


async def _measure(workers: int, seconds: float, singles: int) -> tuple[float, float]:
    async with world() as all_of_it:
        all_of_it.emulator.settings(latency=0.05)
        port = free_port()
        await all_of_it.api(port)
        for first in range(0, workers, _AT_ONCE):
            count = min(_AT_ONCE, workers - first)
            await asyncio.gather(*(all_of_it.worker() for _ in range(count)))
        await asyncio.sleep(_SETTLE_S)
        before = all_of_it.store_cpu()
        await asyncio.sleep(seconds)
        share = (all_of_it.store_cpu() - before) / seconds
        return share, await arrival_ms(all_of_it, port, singles)
