"""`python -m tests.autoscaling`: a day of images, with workers that come and go by KEDA's rules.

The exit code is 0 only where every accepted image has a model that was bought once, no result expired, every
worker ended well, and no panel of the dashboards was empty. `autoscaling.json` has the readings,
`autoscaling.svg` is the picture.
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

from tests.autoscaling import dashboards
from tests.autoscaling.day import HOUR_S
from tests.autoscaling.driver import AtEnd, run
from tests.autoscaling.plot import plot
from tests.autoscaling.record import Record, Size
from tests.autoscaling.verdict import judge
from tests.support.prometheus import Prometheus

_DEFAULT: Final = Size()
_record: Final = msgspec.json.Decoder(Record)


def main() -> int:
    """Run it, or read a record, and print the table."""
    given = _options(sys.argv[1:])
    if given.judge is not None:
        return _judge(_record.decode(given.judge.read_bytes()), given.judge.with_suffix(".svg"))
    size = Size(
        minutes=given.minutes,
        one_in=given.one_in,
        seed=given.seed,
        latency=given.latency,
        concurrency=given.concurrency,
        nights=given.nights,
    )
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "autoscaling.json"
    folder = Path(tempfile.mkdtemp(prefix="i2m-autoscaling-"))
    print(f"in {folder}", flush=True)  # noqa: T201
    record = asyncio.run(_ended_by_sigterm(folder, size, _asking(size, given.dashboards)))
    path.write_bytes(msgspec.json.encode(record))
    code = _judge(record, path.with_suffix(".svg"))
    if not given.keep and not code:
        shutil.rmtree(folder)
    return code


def _options(arguments: list[str]) -> argparse.Namespace:
    flags = argparse.ArgumentParser("tests.autoscaling", description="Runs a day with autoscaled workers.")
    flags.add_argument("--minutes", type=float, default=_DEFAULT.minutes, help="that the day takes")
    flags.add_argument("--one-in", type=int, default=_DEFAULT.one_in, help="of so many images one is made")
    flags.add_argument("--seed", type=int, default=_DEFAULT.seed, help="of the uploads and pictures")
    flags.add_argument(
        "--latency", type=float, default=_DEFAULT.latency, help="of FAL, in seconds of the day"
    )
    flags.add_argument("--concurrency", type=int, default=_DEFAULT.concurrency, help="what FAL runs at once")
    flags.add_argument("--nights", action="store_true", help="with the component of this name")
    flags.add_argument("--out", type=Path, default=Path(), help="where autoscaling.json and .svg go")
    flags.add_argument(
        "--dashboards",
        type=Path,
        metavar="FILE",
        help="every panel's values as Markdown, and a picture of each dashboard beside it",
    )
    flags.add_argument("--keep", action="store_true", help="keep the folder with logs and files")
    flags.add_argument("--judge", type=Path, metavar="JSON", help="run nothing: judge and draw this record")
    return flags.parse_args(arguments)


def _asking(size: Size, path: Path | None) -> AtEnd:
    """What is asked of Prometheus at the day's end."""

    def at_end(prometheus: Prometheus, begun: float, ended: float) -> list[str]:
        shown = dashboards.ask(prometheus, begun, ended, size.factor)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            dashboards.write(shown, (ended - begun) * size.factor / HOUR_S, path)
        return dashboards.faults(shown)

    return at_end


def _judge(record: Record, plotted: Path) -> int:
    verdict = judge(record)
    if verdict.figures:
        plotted.write_text(plot(record))
    print(verdict.table(), flush=True)  # noqa: T201
    return int(bool(verdict.broken))


async def _ended_by_sigterm(folder: Path, size: Size, at_end: AtEnd) -> Record:
    """The run; SIGTERM cancels it, so that nothing of it is left behind."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(folder, size, at_end)


if __name__ == "__main__":
    sys.exit(main())
