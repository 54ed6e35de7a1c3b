"""Rows: how many pictures one worker moves while FAL takes 0.1 s, everything on the same cores.

Who calls it: the bench. Once with this checkout's emulator on both sides, where only the product differs, and
once each with its own: then all of it is compared, and what an emulator keeps for each image is its own too.
"""

import asyncio
import time

import msgspec

from tests.bench import machine
from tests.bench.row import Row, at_most, beside_baseline
from tests.bench.world import World, world

_FAL_S = 0.1
_LIMIT = 100
_WARM_UP = 200


class _Run(msgspec.Struct, frozen=True):
    """Images a second, and bytes of the emulator's resident memory that each image added."""

    rate: float
    emulator_bytes: float


def run(quick: bool) -> list[Row]:
    """Three rows."""
    count = 300 if quick else 2000
    shared, own = (asyncio.run(_measure(count, own_emulator=own)) for own in (False, True))
    name = f"{count:,} images, FAL 0.1 s, one worker"
    return [
        beside_baseline(name, shared.rate, 1.8, "images/s", better="higher"),
        beside_baseline(f"{name}, each side's own emulator", own.rate, 1.8, "images/s", better="higher"),
        at_most("emulator: memory for a finished image", own.emulator_bytes / 1024, 2, "KiB"),
    ]


async def _measure(count: int, *, own_emulator: bool) -> _Run:
    async with world(own_emulator=own_emulator) as all_of_it:
        all_of_it.emulator.settings(latency=_FAL_S)
        await all_of_it.worker(slots=_LIMIT, permits=_LIMIT)
        await _make(all_of_it, _WARM_UP)
        before = machine.resident_mib(all_of_it.emulator.pid)
        took = await _make(all_of_it, count)
        grown = machine.resident_mib(all_of_it.emulator.pid) - before
        return _Run(count / took, grown * 1024**2 / count)


async def _make(all_of_it: World, count: int) -> float:
    """Seconds for so many."""
    job_ids = await all_of_it.enqueue(count)
    began = time.perf_counter()
    await all_of_it.finish(job_ids)
    return time.perf_counter() - began
