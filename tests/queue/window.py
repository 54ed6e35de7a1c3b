"""How much longer pictures take than FAL needs for them, where FAL runs few at once.

`python -m tests.queue.window`. The emulator runs as many as it is told, and the service has to find that out.
Who calls it: a person, and one test with few pictures.
"""

import argparse
import asyncio
import itertools
import math
import sys
import time

import msgspec

from image2model.queue import window
from tests.bench.world import world

_OWNERS = ("ann", "bob", "cid", "dot")


class Run(msgspec.Struct, frozen=True):
    """Seconds. `ideal`: what FAL needs for so many pictures. `limit` is what the service has learned."""

    concurrency: int
    took: float
    ideal: float
    limit: int

    @property
    def ratio(self) -> float:
        """1: no place at FAL was ever empty."""
        return self.took / self.ideal


async def measure(
    count: int, concurrency: int, latency: float, *, warm: bool = True, known: str = "auto"
) -> Run:
    """Run `count` pictures of four keys.

    `warm`: the service has learned the limit before. `known`: what it is told of it; 1000 hands all over.
    """
    async with world("--concurrency", str(concurrency)) as all_of_it:
        redis = all_of_it.redis
        all_of_it.emulator.settings(latency=0.5)
        await all_of_it.worker(slots=1000, permits=1000, concurrency=known)
        if warm:
            await all_of_it.finish(await all_of_it.enqueue(4 * concurrency + 20))
        all_of_it.emulator.settings(latency=latency)
        began = time.perf_counter()
        jobs = [await all_of_it.enqueue(count // len(_OWNERS), owner=owner) for owner in _OWNERS]
        await all_of_it.finish(list(itertools.chain(*jobs)), every_s=0.05)
        took = time.perf_counter() - began
        learned = await window.read(redis, window.FalConcurrency())
        return Run(concurrency, took, math.ceil(count / concurrency) * latency, learned.limit)


def main() -> int:
    """Print a table; 1 if one run took more than 1.03 times what FAL needs."""
    flags = argparse.ArgumentParser("python -m tests.queue.window", description=__doc__)
    flags.add_argument("--pictures", type=int, default=1000)
    flags.add_argument("--seconds", type=float, default=60, help="what FAL needs, about")
    flags.add_argument("--concurrency", type=int, nargs="+", default=[2, 10, 40, 100])
    flags.add_argument("--all", action="store_true", help="hand everything over, to compare")
    flags.add_argument("--cold", action="store_true", help="nothing is known of the account: begin at 2")
    given = flags.parse_args()
    good = True
    for concurrency in given.concurrency:
        latency = given.seconds * concurrency / given.pictures
        known = "1000" if given.all else "auto"
        run = asyncio.run(measure(given.pictures, concurrency, latency, warm=not given.cold, known=known))
        good = good and run.ratio <= 1.03
        sys.stdout.write(
            f"{concurrency:4} at once, {latency:.2f} s each: {run.took:6.2f} s, "
            f"FAL needs {run.ideal:6.2f} s: {run.ratio:.3f}; learned {run.limit}\n"
        )
        sys.stdout.flush()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
