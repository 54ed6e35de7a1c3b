"""Rows: does an image cost the same whether a hundred were made or a hundred thousand? And do workers add up?

Who calls it: the bench, where `--only growth` asks for it; `--whole` goes to 100,000 images, and to a FAL of
30 s with up to eight workers (half an hour, on two quiet cores). One store takes all images of a run, so what
is kept of earlier ones is beside every later one. Writes `docs/growth.svg`, but for a quick run.
"""

import asyncio
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from tests.bench import machine, store_cost
from tests.bench.plot import Series, draw
from tests.bench.row import Row
from tests.bench.world import World, world

_STRAIGHT: Final = 0.99
_BEND: Final = 1.1
_SLOTS: Final = 100
_WAVES: Final = 2


class _Plan(msgspec.Struct, frozen=True):
    """How many images in all at each point; how many workers, and how long FAL takes then."""

    sizes: tuple[int, ...]
    workers: tuple[int, ...]
    fal_s: float


_QUICK: Final = _Plan((50, 100, 200), (1, 2), 1.0)
_USUAL: Final = _Plan((100, 300, 1_000, 3_000, 10_000), (1, 2, 4), 10.0)
_WHOLE: Final = _Plan((100, 300, 1_000, 3_000, 10_000, 30_000, 100_000), (1, 2, 4, 8), 30.0)


class _Cost(msgspec.Struct, frozen=True):
    """What all images so far have cost: milliseconds of the worker's CPU, commands and bytes of the store."""

    cpu: float
    commands: float
    data: float


def run(quick: bool, *, whole: bool = False) -> list[Row]:
    """Three rows by images, one by workers."""
    plan = _QUICK if quick else _WHOLE if whole else _USUAL
    costs = asyncio.run(_by_images(plan.sizes))
    seconds = {workers: asyncio.run(_seconds(workers, plan.fal_s)) for workers in plan.workers}
    lines = {
        "worker's CPU": ("ms", {size: cost.cpu for size, cost in costs.items()}),
        "commands of the store": ("commands", {size: cost.commands for size, cost in costs.items()}),
        "bytes in the store": ("B", {size: cost.data for size, cost in costs.items()}),
    }
    if not quick:
        _plot(lines, seconds, plan.fal_s)
    return [*(_line(what, unit, points) for what, (unit, points) in lines.items()), _workers(seconds, plan)]


def each(total: Mapping[int, float]) -> dict[int, float]:
    """What one image of each step cost, of the totals after so many images, the fewest first."""
    steps = zip([(0, 0.0), *total.items()], total.items(), strict=False)
    return {size: (cost - before) / (size - fewer) for (fewer, before), (size, cost) in steps}


def first_bend(total: Mapping[int, float]) -> int | None:
    """The first number of images at which one costs a tenth more than those before it; None: never."""
    earlier = list(total.items())[:-1]
    later = list(each(total).items())[1:]
    pairs = zip(earlier, later, strict=True)
    return next((size for (fewer, before), (size, cost) in pairs if cost > _BEND * before / fewer), None)


def _line(what: str, unit: str, total: Mapping[int, float]) -> Row:
    fit = float(np.corrcoef(list(total), list(total.values()))[0, 1] ** 2)
    one, bend, most = each(total), first_bend(total), max(total)
    return Row(
        what=f"growth: {what}, an image of the last step to {most:,}",
        ours=f"{one[most]:.4g} {unit}",
        value=one[most],
        unit=unit,
        against=f"{one[min(total)]:.4g} {unit} of the first; "
        + (f"bends at {bend:,}" if bend else "no bend"),
        ratio=fit,
        limit=f"R2 >= {_STRAIGHT}",
        passed=fit >= _STRAIGHT,
    )


def _workers(seconds: Mapping[int, float], plan: _Plan) -> Row:
    few, many = min(seconds), max(seconds)
    return Row(
        what=f"growth: {_WAVES * _SLOTS} images a worker, FAL {plan.fal_s:g} s, {many} workers",
        ours=f"{seconds[many]:.4g} s",
        value=seconds[many],
        unit="s",
        against=f"{seconds[few]:.4g} s, {few} worker",
        ratio=seconds[many] / seconds[few],
        limit="-",
        passed=None,
    )


async def _by_images(sizes: tuple[int, ...]) -> dict[int, _Cost]:
    costs: dict[int, _Cost] = {}
    async with world() as all_of_it:
        worker = await all_of_it.worker(slots=_SLOTS, permits=_SLOTS)
        await _make(all_of_it, 100)
        store, cpu = await store_cost.read(all_of_it.redis), machine.cpu_seconds(worker.pid)
        done = 0
        for size in sizes:
            await _make(all_of_it, size - done)
            now, done = await store_cost.read(all_of_it.redis), size
            costs[size] = _Cost(
                cpu=(machine.cpu_seconds(worker.pid) - cpu) * 1000,
                commands=now.commands - store.commands,
                data=now.data - store.data,
            )
    return costs


async def _make(all_of_it: World, count: int) -> None:
    """Make so many; neither FAL nor the disk keeps them afterwards."""
    all_of_it.emulator.reset(latency=0.1)
    await all_of_it.finish(await all_of_it.enqueue(count), every_s=1.0)
    await asyncio.sleep(store_cost.SETTLE_S)
    for folder in (all_of_it.folder / "files").iterdir():
        if folder.name != "originals":
            await asyncio.to_thread(shutil.rmtree, folder)


async def _seconds(workers: int, fal_s: float) -> float:
    """How long as many images take as fill every slot of each worker `_WAVES` times."""
    async with world() as all_of_it:
        all_of_it.emulator.settings(latency=0.1)
        for _ in range(workers):
            await all_of_it.worker(slots=_SLOTS, permits=_SLOTS * workers)
        await all_of_it.finish(await all_of_it.enqueue(25 * workers))
        all_of_it.emulator.settings(latency=fal_s)
        began = time.perf_counter()
        await all_of_it.finish(await all_of_it.enqueue(_WAVES * _SLOTS * workers))
        return time.perf_counter() - began


def _plot(
    lines: Mapping[str, tuple[str, Mapping[int, float]]], seconds: Mapping[int, float], fal_s: float
) -> None:
    totals = [Series(f"{what}: {unit} in all", points) for what, (unit, points) in lines.items()]
    ones = [
        Series(f"{what}: {unit} an image", each(points), log=True) for what, (unit, points) in lines.items()
    ]
    workers = Series(f"seconds by workers, {_WAVES * _SLOTS} images each, FAL {fal_s:g} s", seconds)
    Path("docs/growth.svg").write_text(draw(*totals, *ones, workers, columns=3))
