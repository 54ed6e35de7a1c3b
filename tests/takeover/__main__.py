"""`python -m tests.takeover`: the rolling restart from the revision before, as long as one likes.

Exit code 1 when a promise was not kept.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec

from image2model.up.store import EmbeddedStore
from tests.support.fleet import fleet_on
from tests.takeover.rolling import Report, rolling_on


async def _run(folder: Path, url: str, stay_s: float) -> Report:
    async with fleet_on(url, folder) as fleet, rolling_on(fleet, folder, stay_s=stay_s) as rolling:
        return await rolling.run()


def main() -> int:
    """Run it, and print what was seen."""
    parser = argparse.ArgumentParser(prog="tests.takeover")
    parser.add_argument("--stay", type=float, default=20, help="seconds that each mixture runs")
    stay_s = parser.parse_args().stay
    with tempfile.TemporaryDirectory(prefix="i2m-") as name:
        folder = Path(name)
        store = EmbeddedStore(folder / "store", durable=True)
        store.start()
        try:
            report = asyncio.run(_run(folder, store.url, stay_s))
        finally:
            store.stop()
    for field, value in msgspec.to_builtins(report).items():
        if field != "broken":
            sys.stdout.write(f"{field:<20} {value}\n")
    for sentence in report.broken:
        sys.stdout.write(f"BROKEN: {sentence}\n")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
