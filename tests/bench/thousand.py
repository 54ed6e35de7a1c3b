"""Rows: 1,000 pictures with 100 FAL requests at once, one worker: how long, and how much of a core.

Who calls it: the bench.
"""

import asyncio
import time

from tests.bench import machine
from tests.bench.row import Row, at_most, beside_baseline, ratio_at_most
from tests.bench.world import world

_FAL_S = 2.0
_LIMIT = 100


def run(quick: bool) -> list[Row]:
    """Three rows."""
    count = 300 if quick else 1000
    took, cpu, fal = asyncio.run(_measure(count))
    ideal = count / _LIMIT * _FAL_S  # a run that took longer must not make the share look smaller
    note = f"(the emulator used {fal / took:.0%} of a core)"
    return [
        ratio_at_most(f"{count:,} images of 256 px, FAL 2 s, limit 100", took, ideal, 1.04, "s"),
        at_most("the same: the one worker's CPU", cpu / ideal * 100, 60, "% of a core", against=note),
        beside_baseline("the same: the worker's CPU an image", cpu / count * 1000, 0.5, "ms"),
    ]


async def _measure(count: int) -> tuple[float, float, float]:
    async with world() as all_of_it:
        emulator = all_of_it.emulator
        emulator.settings(latency=_FAL_S)
        worker = await all_of_it.worker(slots=_LIMIT, permits=_LIMIT)
        await all_of_it.finish(await all_of_it.enqueue(25))
        cpu, fal, began = (
            machine.cpu_seconds(worker.pid),
            machine.cpu_seconds(emulator.pid),
            time.perf_counter(),
        )
        await all_of_it.finish(await all_of_it.enqueue(count))
        took = time.perf_counter() - began
        return took, machine.cpu_seconds(worker.pid) - cpu, machine.cpu_seconds(emulator.pid) - fal
