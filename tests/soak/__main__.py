"""`python -m tests.soak`: an even load for half an hour, and whether anything grows under it.

The exit code is 0 only where memory, handles, tasks and threads of every process were flat from minute 5 on,
and all that the clients asked for was answered. The readings are in `soak.json`, the plot in `soak.svg`.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from tests.soak import plot
from tests.soak.driver import run
from tests.soak.readings import Record
from tests.soak.verdict import judge
from tests.soak.world import Size

_DEFAULT: Final = Size()
_record: Final = msgspec.json.Decoder(Record)


def main() -> int:
    """Run it, or read a record, and print the table."""
    given = _options(sys.argv[1:])
    if given.judge is not None:
        return _judge(_record.decode(given.judge.read_bytes()), given.judge.with_suffix(".svg"))
    size = Size(minutes=given.minutes, rate=given.rate, settle=given.settle, seed=given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "soak.json"
    folder = Path(tempfile.mkdtemp(prefix="i2m-soak-"))
    print(f"in {folder}", flush=True)  # noqa: T201
    record = asyncio.run(_ended_by_sigterm(folder, size, path))
    path.write_bytes(msgspec.json.encode(record))
    code = _judge(record, path.with_suffix(".svg"))
    if not given.keep and not code:
        shutil.rmtree(folder)
    return code


def _options(arguments: list[str]) -> argparse.Namespace:
    flags = argparse.ArgumentParser("tests.soak", description="Loads the service evenly, and watches.")
    flags.add_argument("--minutes", type=float, default=_DEFAULT.minutes)
    flags.add_argument("--rate", type=float, default=_DEFAULT.rate, help="images a minute")
    flags.add_argument(
        "--settle", type=float, default=_DEFAULT.settle, help="minutes from which on nothing may grow"
    )
    flags.add_argument("--seed", type=int, default=_DEFAULT.seed, help="of the pictures and of FAL's faults")
    flags.add_argument("--out", type=Path, default=Path(), help="where soak.json and soak.svg go")
    flags.add_argument("--keep", action="store_true", help="keep the folder with logs and files")
    flags.add_argument("--judge", type=Path, metavar="JSON", help="run nothing: judge and draw this record")
    return flags.parse_args(arguments)


def _judge(record: Record, plotted: Path) -> int:
    verdict = judge(record)
    if record.series:
        plotted.write_text(plot.draw(record, verdict))
    print(verdict.table(), flush=True)  # noqa: T201
    return int(bool(verdict.broken))


async def _ended_by_sigterm(folder: Path, size: Size, path: Path) -> Record:
    """The run; SIGTERM cancels it, so that nothing of it is left behind."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(folder, size, path)


if __name__ == "__main__":
    sys.exit(main())
