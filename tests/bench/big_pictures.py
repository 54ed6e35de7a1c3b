"""Row: what a worker with a hundred slots holds in memory when its pictures are big.

Who calls it: the bench. The limit is ours: a laptop that runs `image2model up` has other things to do.
"""

import asyncio

from tests.bench import machine, pictures
from tests.bench.row import Row, at_most
from tests.bench.world import world


def run(quick: bool) -> list[Row]:
    """One row."""
    count = 25 if quick else 150
    name = f"{count} pictures of 14.5 MB, limit 100, one worker: peak RSS"
    return [at_most(name, asyncio.run(_peak(count)), 1024, "MiB")]


async def _peak(count: int) -> float:
    async with world() as all_of_it:
        all_of_it.emulator.settings(latency=2.0)
        worker = await all_of_it.worker()
        made = await asyncio.to_thread(pictures.noisy)
        await all_of_it.finish(await all_of_it.enqueue(count, [made] * 25))
        return machine.peak_mib(worker.pid)
