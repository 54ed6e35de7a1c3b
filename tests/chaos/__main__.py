"""`python -m tests.chaos`: one run in a temporary folder; exit code 1 where a promise was not kept."""

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.driver import run
from tests.chaos.world import Size


def size(arguments: list[str]) -> tuple[Size, bool]:
    """The size of the run, and whether its folder is kept."""
    flags = argparse.ArgumentParser("tests.chaos", description="Breaks everything at once, and counts.")
    flags.add_argument("--images", type=int, default=5000)
    flags.add_argument("--workers", type=int, default=6)
    flags.add_argument("--apis", type=int, default=2)
    flags.add_argument("--kills", type=int, default=200, help="at least so many SIGKILLs")
    flags.add_argument("--duration", type=float, default=240, help="seconds of faults, at least")
    flags.add_argument("--seed", type=int, help="replays the faults of an earlier run")
    flags.add_argument("--keep", action="store_true", help="keep the folder with logs and files")
    given = flags.parse_args(arguments)
    return Size(
        images=given.images,
        workers=given.workers,
        apis=given.apis,
        kills=given.kills,
        duration=given.duration,
        seed=secrets.randbelow(1_000_000) if given.seed is None else given.seed,
    ), given.keep


def main() -> int:
    """Run it and print the table."""
    wanted, keep = size(sys.argv[1:])
    folder = Path(tempfile.mkdtemp(prefix="i2m-chaos-"))
    print(f"seed {wanted.seed}, in {folder}", flush=True)  # noqa: T201
    verdict = asyncio.run(run(folder, wanted))
    print(verdict.table(), flush=True)  # noqa: T201
    if not keep and not verdict.broken:
        shutil.rmtree(folder)
    return 1 if verdict.broken else 0


if __name__ == "__main__":
    sys.exit(main())
