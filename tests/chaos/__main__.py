"""`python -m tests.chaos`: runs in temporary folders, one after the other; one table of all that were begun.

The exit code is 0 only where every run kept every promise.
"""

import argparse
import asyncio
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.chaos import report
from tests.chaos.driver import run
from tests.chaos.verdict import Verdict
from tests.chaos.world import Size


def main() -> int:
    """Run it all and print the table."""
    given = _options(sys.argv[1:])
    if given.row is not None:
        return _one(given)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stop from outside ends it as Ctrl-C does
    seeds = [*given.seeds, *(secrets.randbelow(1_000_000) for _ in range(given.draw))]
    seeds = seeds or [secrets.randbelow(1_000_000)]
    print(f"seeds {', '.join(map(str, seeds))}", flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="i2m-rows-") as folder:
        rows = report.run_all(seeds, _command, Path(folder))
    print(f"\n{report.table(rows)}", flush=True)  # noqa: T201
    return int(any(row.exit for row in rows) or len(rows) < len(seeds))


def _options(arguments: list[str]) -> argparse.Namespace:
    flags = argparse.ArgumentParser("tests.chaos", description="Breaks everything at once, and counts.")
    flags.add_argument("--images", type=int, default=5000)
    flags.add_argument("--workers", type=int, default=6)
    flags.add_argument("--apis", type=int, default=2)
    flags.add_argument("--kills", type=int, default=50, help="at least so many SIGKILLs")
    flags.add_argument("--duration", type=float, default=150, help="seconds of faults, at least")
    flags.add_argument("--busy", type=int, default=0, help="loops that use a core each for the whole run")
    flags.add_argument(
        "--seeds", "--seed", type=_numbers, default=[], metavar="N,N", help="replay the faults of these"
    )
    flags.add_argument("--draw", type=int, default=0, help="and so many seeds that are drawn")
    flags.add_argument("--keep", action="store_true", help="keep the folders with logs and files")
    flags.add_argument("--row", type=Path, help=argparse.SUPPRESS)
    return flags.parse_args(arguments)


def _numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


def _command(seed: int, said: Path) -> list[str]:
    """The same arguments, but for one seed. Of an option that comes twice the last one counts."""
    return [sys.executable, "-m", "tests.chaos", *sys.argv[1:], "--seeds", str(seed), "--row", str(said)]


def _one(given: argparse.Namespace) -> int:
    """One run, whose row is written to a file."""
    (seed,) = given.seeds
    size = Size(
        images=given.images,
        workers=given.workers,
        apis=given.apis,
        kills=given.kills,
        duration=given.duration,
        busy=given.busy,
        seed=seed,
    )
    folder = Path(tempfile.mkdtemp(prefix="i2m-chaos-"))
    print(f"seed {seed}, in {folder}", flush=True)  # noqa: T201
    verdict = asyncio.run(_ended_by_sigterm(folder, size))
    print(verdict.table(), flush=True)  # noqa: T201
    code = int(bool(verdict.broken))
    row = report.Row(seed=seed, seconds=0.0, exit=code, numbers=verdict.numbers, broken=verdict.broken)
    given.row.write_bytes(msgspec.json.encode(row))
    if not given.keep and not verdict.broken:
        shutil.rmtree(folder)
    return code


async def _ended_by_sigterm(folder: Path, size: Size) -> Verdict:
    """The run; SIGTERM cancels it, so that nothing of it is left behind."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(folder, size)


if __name__ == "__main__":
    sys.exit(main())
