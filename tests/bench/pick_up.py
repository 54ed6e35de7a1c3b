"""Rows: from the 202 to FAL's submit arriving on an idle worker, and how fast 1,000 images are enqueued.

Who calls it: the bench. All over HTTP, as a client would; the clock is the machine's wall clock, which
the emulator's ledger uses too.
"""

import asyncio
import statistics
import time
from datetime import datetime

from tests.bench import pictures, product
from tests.bench.row import Row, at_most
from tests.bench.world import World, post_batch, world
from tests.support.ports import free_port

_BATCH = 25


def run(quick: bool) -> list[Row]:
    """Three rows: the images are enqueued with nobody at work on them, and with one worker."""
    arrival, alone, beside = asyncio.run(_measure(singles=10 if quick else 60, many=100 if quick else 1000))
    many = 100 if quick else 1000
    limit = 1.5 * many / 1000
    return [
        at_most("202 to FAL's submit arriving, idle worker: p50", arrival, 15, "ms"),
        at_most(f"{many:,} images enqueued over HTTP, the API alone", alone, limit, "s"),
        at_most(f"{many:,} images enqueued over HTTP, a worker at work on them", beside, limit, "s"),
    ]


async def _measure(singles: int, many: int) -> tuple[float, float, float]:
    async with world() as all_of_it:
        all_of_it.emulator.settings(latency=0.05)
        port = free_port()
        await all_of_it.api(port)
        await all_of_it.worker()
        arrival = await arrival_ms(all_of_it, port, singles)
        all_of_it.emulator.settings(latency=2.0)
        beside = await asyncio.to_thread(_enqueue, port, many)
    async with world() as all_of_it:
        port = free_port()
        await all_of_it.api(port)
        alone = await asyncio.to_thread(_enqueue, port, many)
    return arrival, alone, beside


async def arrival_ms(all_of_it: World, port: int, count: int) -> float:
    """Milliseconds from a 202 to FAL's submit, the median of single pictures one after the other."""
    bodies = [pictures.batch([picture]) for picture in pictures.small(count)]
    answered: dict[str, float] = {}
    for body in bodies:
        job_id, _, at = await asyncio.to_thread(post_batch, port, body)
        await all_of_it.finish([job_id], every_s=0.02)
        answered[(await product.image_ids(all_of_it.redis, job_id))[0]] = at
    arrived = {
        entry["tags"]["i2m.image"]: datetime.fromisoformat(entry["accepted_at"]).timestamp()
        for entry in all_of_it.emulator.submissions()
    }
    return statistics.median(max(arrived[id_] - at, 0.0) for id_, at in answered.items()) * 1000


def _enqueue(port: int, count: int) -> float:
    made = pictures.small(count)
    bodies = [pictures.batch(made[start : start + _BATCH]) for start in range(0, count, _BATCH)]
    began = time.perf_counter()
    for body in bodies:
        post_batch(port, body)
    return time.perf_counter() - began
