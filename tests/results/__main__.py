"""`python -m tests.results`: every pair of alterations, in batches, with the real processes; some minutes."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from image2model.up.store import EmbeddedStore
from tests.results.conduct import Run
from tests.results.table import Case, every_pair
from tests.results.world import world_on


def _flags() -> argparse.Namespace:
    flags = argparse.ArgumentParser("tests.results", description=__doc__)
    flags.add_argument("--results", choices=("mirror", "redirect"), default="mirror")
    flags.add_argument("--batch", type=int, default=250, help="pairs at once")
    flags.add_argument("--first", type=int, default=0, help="the pair to begin with")
    flags.add_argument("--count", type=int, help="pairs in all; default: all")
    flags.add_argument("--seconds", type=float, default=180, help="a batch's bound")
    return flags.parse_args()


async def _batch(cases: list[Case], results: str, seconds: float) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="i2m-") as name:
        folder = Path(name)
        store = EmbeddedStore(folder, durable=False)
        await asyncio.to_thread(store.start)
        try:
            async with world_on(store.url, folder, results) as world:
                return await Run(world, cases, seconds).all()
        finally:
            await asyncio.to_thread(store.stop)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a program for people


def main() -> int:
    """0 if no pair broke a promise."""
    flags = _flags()
    last = None if flags.count is None else flags.first + flags.count
    pairs, broken = every_pair()[flags.first : last], 0
    for at in range(0, len(pairs), flags.batch):
        began = time.monotonic()
        cases = pairs[at : at + flags.batch]
        wrong = asyncio.run(_batch(cases, flags.results, flags.seconds))
        broken += len(wrong)
        first = flags.first + at
        took = time.monotonic() - began
        _say(f"{flags.results} {first} to {first + len(cases) - 1}: {took:.0f} s")
        for line in wrong:
            _say(f"BROKEN {line}")
    _say(f"{len(pairs)} pairs, {broken} promises broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
