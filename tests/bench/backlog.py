"""Row: how fast 8 workers fill their 800 slots, with 10,000 images behind and with an empty queue behind.

Who calls it: the bench. The workers are stopped (SIGSTOP) while the images are enqueued, and begin at once.
"Empty" still holds the pictures that a full fleet prepares ahead, so that both sides do the same work.
A pick-up takes four seconds of both cores and varies by a third, so the sides take turns, and medians count.
"""

import asyncio
import signal
from datetime import datetime
from statistics import median

from tests.bench.product import look_ahead
from tests.bench.row import Row, ratio_at_least
from tests.bench.world import World, world

_WORKERS = 8
_SLOTS = 100
_ROUNDS = 5


def run(quick: bool) -> list[Row]:
    """One row."""
    behind = 2_000 if quick else 10_000
    slots = _WORKERS * _SLOTS
    sides = {slots + look_ahead(slots): list[float](), behind: list[float]()}
    for _ in range(1 if quick else _ROUNDS):
        for waiting, rates in sides.items():
            rates.append(asyncio.run(_rate(waiting)))
    empty, full = map(median, sides.values())
    name = f"{behind:,} images waiting, 8 workers x 100 slots, FAL 30 s: pick-up"
    return [ratio_at_least(name, full, empty, 0.9, "images/s")]


async def _rate(waiting: int) -> float:
    slots = _WORKERS * _SLOTS
    async with world() as all_of_it:
        all_of_it.emulator.settings(latency=30.0)
        workers = [await all_of_it.worker(slots=_SLOTS, permits=slots) for _ in range(_WORKERS)]
        for worker in workers:
            worker.send(signal.SIGSTOP)
        await all_of_it.enqueue(waiting)
        for worker in workers:
            worker.send(signal.SIGCONT)
        return await _submits_per_s(all_of_it, slots)


async def _submits_per_s(all_of_it: World, slots: int) -> float:
    """Over all but the first and the last twentieth of the slots."""
    async with asyncio.timeout(120):
        while len(entries := await asyncio.to_thread(all_of_it.emulator.submissions)) < slots:
            await asyncio.sleep(1)
    at = sorted(datetime.fromisoformat(entry["accepted_at"]).timestamp() for entry in entries)[:slots]
    low, high = slots // 20, slots - slots // 20
    return (high - low) / (at[high] - at[low])
