"""Row: the API's CPU for an upload of 25 pictures of 100 KB, with no worker beside it.

Who calls it: the bench. The pictures of each upload are new, so each is hashed, inspected and stored.
"""

import asyncio

from tests.bench import guard, machine, pictures
from tests.bench.row import Row, beside_baseline
from tests.bench.world import post_batch, world
from tests.support.ports import free_port

_BATCH = 25
_WARM_UPS = 3


def run(quick: bool) -> list[Row]:
    """One row: milliseconds of CPU for one upload."""
    cpu = asyncio.run(_measure(3 if quick else 40))
    return [beside_baseline("upload, 25 x 100 KB: CPU of the API", cpu * 1000, 0.7, "ms")]


async def _measure(uploads: int) -> float:
    made = pictures.of_100_kb(_BATCH * (uploads + _WARM_UPS))
    bodies = [pictures.batch(made[start : start + _BATCH]) for start in range(0, len(made), _BATCH)]
    async with world() as all_of_it:
        port = free_port()
        api = await all_of_it.api(port)
        for body in bodies[:_WARM_UPS]:
            await asyncio.to_thread(post_batch, port, body)
        before = machine.cpu_seconds(api.pid)
        for body in bodies[_WARM_UPS:]:
            await asyncio.to_thread(post_batch, port, body)
        used = machine.cpu_seconds(api.pid) - before
        stored = guard.stored_bytes(all_of_it.folder / "files" / "originals")
        guard.enough("bytes of originals", stored, sum(map(len, made)), 0.99)
    return used / uploads
