"""Row: a batch of 25 pictures over HTTP, from the first byte of the upload to the last model stored.

Who calls it: the bench.
"""

import asyncio
import statistics
import time

from tests.bench import pictures, product
from tests.bench.row import Row, ratio_at_most
from tests.bench.world import World, post_batch, world
from tests.support.ports import free_port

_FAL_S = 2.0


def run(quick: bool) -> list[Row]:
    """One row: the median of some batches, one after the other."""
    seconds = asyncio.run(_measure(2 if quick else 5))
    return [ratio_at_most("25 images of 256 px, FAL 2 s", statistics.median(seconds), _FAL_S, 1.05, "s")]


async def _measure(rounds: int) -> list[float]:
    made = pictures.small(25 * (rounds + 1))
    bodies = [pictures.batch(made[start : start + 25]) for start in range(0, len(made), 25)]
    async with world() as all_of_it:
        all_of_it.emulator.settings(latency=_FAL_S)
        port = free_port()
        await all_of_it.api(port)
        await all_of_it.worker()
        return [await _batch(all_of_it, port, body) for body in bodies][1:]


async def _batch(all_of_it: World, port: int, body: bytes) -> float:
    began = time.time()
    job_id, _, _ = await asyncio.to_thread(post_batch, port, body)
    await all_of_it.finish([job_id])
    # not the time of the poll: that is up to an interval later
    return await product.finished_at(all_of_it.redis, job_id) - began
