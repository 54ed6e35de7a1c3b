"""`python -m tests.chaos.circuits`: what an endpoint that FAL refuses, or that fails, costs the others.

1,000 pictures over three endpoints, one of which answers every POST with 403 and one with 503; the same with
an account that is locked and unlocked in the middle; the same with a 403 that comes and goes. Each time the
third endpoint's pictures are compared with what they take alone. Exit code 1 where that is more than 1.1
times as long. While the 403 is gone its endpoint's pictures run, and share FAL with the others as they
should: for each of them the third endpoint's may take what one of its own takes.
"""

import argparse
import asyncio
import math
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress

import msgspec

from image2model.queue import circuits
from image2model.store.keys import Queue
from tests.bench import pictures
from tests.bench.world import World, world
from tests.support.circuits import generation_pauses
from tests.support.fleet import Fleet

REFUSED, FAILING, GOOD = "fal-ai/trellis", "fal-ai/triposr", "tripo3d/tripo/v2.5/image-to-3d"
MOST: float = 1.1
_BATCH = 25
_LOCKED_S = 5.0
_LOCKED_AFTER_S = 8.0
_COMES_AND_GOES_S = 20.0
"""The first probe goes after 30 s, while the refusal is gone."""

Rule = tuple[str, str | None, str]
"""A fault of the emulator: kind, value, endpoint."""
Trouble = Callable[[World], Coroutine[None, None, float]]
"""Makes trouble beside the run until it is cancelled or done; returns the seconds that do not count."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """`latency_s` is that of one generation, `permits` I2M_MAX_CONCURRENT."""

    images: int = 1000
    permits: int = 40
    latency_s: float = 7.0

    @property
    def third(self) -> int:
        """How many of them are for the good endpoint."""
        return math.ceil(self.images / 3)


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One run: how long the good endpoint's pictures took, less what does not count.

    `others` of the other endpoints' pictures were accepted meanwhile; the reply to `unconfirmed` was lost.
    """

    name: str
    took_s: float
    deducted_s: float = 0.0
    alone_s: float = 0.0
    third: int
    others: int
    unconfirmed: int

    @property
    def ratio(self) -> float:
        """Of what so many take alone."""
        share = (self.third + self.others) / self.third
        return self.took_s / (self.alone_s * share) if self.alone_s else 1.0

    def line(self) -> str:
        """For the table."""
        counted = (
            f"{self.others} others run, {self.unconfirmed} unconfirmed, {self.deducted_s:.1f} s deducted"
        )
        return f"{self.name:<34} {self.took_s:7.1f} s {self.ratio:6.2f} x   {counted}"


async def measure(size: Size, only: frozenset[str] = frozenset()) -> list[Measured]:
    """All runs; the first one is the good endpoint alone."""
    alone = await _run("alone", size, [GOOD] * size.third, (), None)
    found = [alone]
    for name, faults, trouble in _RUNS:
        if only and name[0] not in only:
            continue
        models = [(REFUSED, FAILING, GOOD)[number // _BATCH % 3] for number in range(size.third * 3)]
        run = await _run(name, size, models, faults, trouble)
        found.append(msgspec.structs.replace(run, alone_s=alone.took_s))
    return found


async def _run(
    name: str,
    size: Size,
    models: list[str],
    faults: tuple[Rule, ...],
    trouble: Trouble | None,
) -> Measured:
    async with world() as all_of_it:
        fleet = Fleet(all_of_it.redis, all_of_it.redis_url, all_of_it.folder, all_of_it.emulator)
        fleet.emulator.settings(latency=size.latency_s)
        for kind, value, endpoint in faults:
            fleet.emulator.fault(kind, value=value, endpoint=endpoint, rate=1)
        await all_of_it.worker(slots=size.permits, permits=size.permits)
        await circuits.pause_queue(fleet.redis, Queue.GENERATION)
        jobs: list[tuple[str, str]] = []
        small = pictures.small(_BATCH)
        for start in range(0, len(models), _BATCH):
            some = models[start : start + _BATCH]
            jobs.append(
                (some[0], await fleet.submit(owner="ann", model=some[0], pictures=small[: len(some)]))
            )
        began = time.perf_counter()
        await circuits.resume_queue(fleet.redis, Queue.GENERATION)
        async with _beside(trouble, all_of_it) as deducted:
            await all_of_it.finish([job_id for model, job_id in jobs if model == GOOD])
            took = time.perf_counter() - began
        accepted = Counter(entry["endpoint"] for entry in fleet.emulator.submissions())
        return Measured(
            name=name,
            took_s=took - sum(deducted),
            deducted_s=sum(deducted),
            third=size.third,
            others=accepted.total() - accepted[GOOD],
            unconfirmed=all_of_it.processes[0].log.read_text().count('"submission_reply_lost"'),
        )


@asynccontextmanager
async def _beside(trouble: Trouble | None, all_of_it: World) -> AsyncIterator[list[float]]:
    """The trouble's seconds that do not count are there when the block ends."""
    deducted: list[float] = []
    if trouble is None:
        yield deducted
        return
    making = asyncio.create_task(trouble(all_of_it))
    try:
        yield deducted
    finally:
        making.cancel()
        with suppress(asyncio.CancelledError):
            deducted.append(await making)


async def _lock(all_of_it: World) -> float:
    """The account is locked for a while. What counts as locked is until the service has noticed its end."""
    emulator, redis = all_of_it.emulator, all_of_it.redis
    await asyncio.sleep(_LOCKED_AFTER_S)
    began = time.perf_counter()
    emulator.fault("locked", rate=1)
    await asyncio.sleep(_LOCKED_S)
    emulator.fault("locked", rate=0)
    while await generation_pauses(redis):
        await asyncio.sleep(0.05)
    return time.perf_counter() - began


async def _come_and_go(all_of_it: World) -> float:
    emulator = all_of_it.emulator
    while True:
        await asyncio.sleep(_COMES_AND_GOES_S)
        emulator.fault("endpoint_403", endpoint=REFUSED, rate=0)
        await asyncio.sleep(_COMES_AND_GOES_S)
        emulator.fault("endpoint_403", endpoint=REFUSED, rate=1)


_BOTH = (("endpoint_403", None, REFUSED), ("endpoint_down", "post", FAILING))
_RUNS: tuple[tuple[str, tuple[Rule, ...], Trouble | None], ...] = (
    ("a: one refused, one failing", _BOTH, None),
    ("b: the same, the account locked", _BOTH, _lock),
    ("c: a refusal that comes and goes", _BOTH, _come_and_go),
)


def main() -> int:
    """Run, and print the table."""
    flags = argparse.ArgumentParser("tests.chaos.circuits", description=__doc__)
    flags.add_argument("--images", type=int, default=Size().images)
    flags.add_argument("--permits", type=int, default=Size().permits)
    flags.add_argument("--latency", type=float, default=Size().latency_s, help="seconds of one generation")
    flags.add_argument("--only", action="append", choices=("a", "b", "c"), default=[])
    given = flags.parse_args()
    size = Size(images=given.images, permits=given.permits, latency_s=given.latency)
    found = asyncio.run(measure(size, frozenset(given.only)))
    for one in found:
        print(one.line(), flush=True)  # noqa: T201
    void = [one.name for one in found if one.name.startswith("c") and not one.others]
    if void:
        print(f"{void}: the refusal never went, so this run shows nothing", flush=True)  # noqa: T201
    return int(bool(void) or any(one.ratio > MOST for one in found))


if __name__ == "__main__":
    sys.exit(main())
