"""Row: what images and workers cost, as a straight line, and as a plot.

Who calls it: the bench. Cost is the CPU of the workers and the store; FAL's own is not ours.
"""

import asyncio
import time
from pathlib import Path

import numpy as np

from tests.bench.plot import Series, draw
from tests.bench.row import Row
from tests.bench.world import world

_STRAIGHT = 0.99


def run(quick: bool) -> list[Row]:
    """Two rows, and the plot, which a quick run does not touch."""
    sizes = (100, 200, 400) if quick else (100, 1_000, 3_000, 10_000)
    by_images = {size: asyncio.run(_cost(size, workers=2)) for size in sizes}
    by_workers = {workers: asyncio.run(_cost(400, workers=workers)) for workers in (1, 2, 4, 8)}
    if not quick:
        _plot(by_images, by_workers)
    rise = by_workers[8] / by_workers[1]
    return [
        _line("CPU by images, 2 workers", by_images),
        Row(
            what="CPU of 400 images, 8 workers beside 1",
            ours=f"{by_workers[8]:.3g} s",
            value=by_workers[8],
            unit="s",
            against=f"{by_workers[1]:.3g} s",
            ratio=rise,
            limit="<= 2 x",
            passed=rise <= 2,
        ),
    ]


def _line(what: str, cost: dict[int, float]) -> Row:
    fit = float(np.corrcoef(list(cost), list(cost.values()))[0, 1] ** 2)
    small, large = sorted(cost)[1], max(cost)
    return Row(
        what=what,
        ours=f"{cost[large] / large * 1000:.3g} ms an image of {large:,}",
        value=cost[large] / large * 1000,
        unit="ms",
        against=f"{cost[small] / small * 1000:.3g} ms an image of {small:,}",
        ratio=fit,
        limit=f"R2 >= {_STRAIGHT}",
        passed=fit >= _STRAIGHT,
    )


async def _cost(count: int, workers: int) -> float:
    """CPU seconds."""
    async with world() as all_of_it:
        all_of_it.emulator.settings(latency=0.2)
        for _ in range(workers):
            await all_of_it.worker(slots=100, permits=100 * workers)
        await all_of_it.finish(await all_of_it.enqueue(25 * workers))
        before = all_of_it.cpu()
        deadline = time.monotonic() + 600
        job_ids = await all_of_it.enqueue(count)
        await asyncio.wait_for(all_of_it.finish(job_ids, every_s=0.5), deadline - time.monotonic())
        return all_of_it.cpu() - before


def _plot(by_images: dict[int, float], by_workers: dict[int, float]) -> None:
    folder = Path("docs")
    folder.mkdir(exist_ok=True)
    text = draw(
        Series("CPU seconds by images (2 workers)", by_images),
        Series("CPU seconds by workers (400 images)", by_workers),
    )
    (folder / "scaling.svg").write_text(text)
