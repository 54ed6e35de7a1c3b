"""Rows: one worker that follows 1,000 FAL requests for a minute: its CPU and its memory.

Who calls it: the bench.
"""

import asyncio

from tests.bench import guard, machine
from tests.bench.row import Row, at_most
from tests.bench.world import world


def run(quick: bool) -> list[Row]:
    """Two rows."""
    count, seconds = (200, 10.0) if quick else (1000, 60.0)
    share, memory = asyncio.run(_measure(count, seconds))
    name = f"{count:,} FAL calls in flight for {seconds:.0f} s, one worker"
    return [
        at_most(f"{name}: CPU", share * 100, 15, "% of a core"),
        at_most(f"{name}: RSS", memory, 200, "MiB"),
    ]


async def _measure(count: int, seconds: float) -> tuple[float, float]:
    async with world() as all_of_it:
        all_of_it.emulator.settings(latency=600.0)
        worker = await all_of_it.worker(slots=count, permits=count)
        job_ids = await all_of_it.enqueue(count)
        async with asyncio.timeout(120):
            while await all_of_it.at_fal(job_ids) < count:
                await asyncio.sleep(0.2)
        await asyncio.sleep(2)  # the thumbnails that are made beside
        before = machine.cpu_seconds(worker.pid)
        await asyncio.sleep(seconds)
        share = (machine.cpu_seconds(worker.pid) - before) / seconds
        guard.enough("calls still in flight at the end", await all_of_it.at_fal(job_ids), count, 1)
        return share, machine.peak_mib(worker.pid)
