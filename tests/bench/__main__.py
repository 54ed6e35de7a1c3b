"""`python -m tests.bench`: every row of the table of speed, both sides measured in one run.

It prints the table and writes `bench.json`. A missed limit is a result, so the exit code is 0; it is 1 where
a row could not run. `--only NAME` (again for more) picks rows, `--quick` makes the numbers small.
"""

import argparse
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

import msgspec

from tests.bench import machine
from tests.bench.row import Row
from tests.bench.table import Report, as_markdown, as_text

ROWS = (
    "start_up",
    "upload",
    "status_rates",
    "streams",
    "pick_up",
    "batch_of_25",
    "thousand",
    "in_flight",
    "big_pictures",
    "backlog",
    "scaling",
)


def main() -> int:
    """Run, show, write."""
    options = _options()
    rows: list[Row] = []
    broken: dict[str, str] = {}
    for name in options.only or ROWS:
        began = time.monotonic()
        try:
            measured = import_module(f"tests.bench.{name}").run(options.quick)
        except Exception as error:  # noqa: BLE001 - the other rows still run, and the exit code tells
            broken[name] = repr(error)
            traceback.print_exc()
            continue
        rows += [msgspec.structs.replace(row, load=round(machine.load(), 1)) for row in measured]
        _say(f"-- {name}: {time.monotonic() - began:.0f} s, load {machine.load():.1f}")
        _say(as_text(rows[-len(measured) :]))
    _say(f"\n{machine.describe()}\n{as_markdown(rows) if options.markdown else as_text(rows)}")
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    report = Report(machine=machine.describe(), when=when, rows=rows, broken=broken)
    Path("bench.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    for name, why in broken.items():
        _say(f"{name} could not run: {why}")
    return 1 if broken else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.bench")
    parser.add_argument("--only", action="append", choices=ROWS, metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--quick", action="store_true", help="small numbers: does it run?")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
