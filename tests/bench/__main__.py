"""`python -m tests.bench`: every row of the table of speed, both sides measured in one run.

It prints the table and writes `bench.json`. A missed limit is a result, so the exit code is 0; it is 1 where
a row could not run. `--only NAME` (again for more) picks rows, `--quick` makes the numbers small.
`--beside REV` measures another revision too, and says what is slower here; that is a result as well.
"""

import argparse
import sys
import time
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import msgspec

from tests.bench import beside, machine, revision
from tests.bench.row import Row
from tests.bench.table import Beside, Report, as_markdown, as_text, beside_as_markdown, beside_as_text

ROWS = (
    "start_up",
    "upload",
    "upload_of_small",
    "status_rates",
    "models",
    "streams",
    "idle",
    "idle_fleet",
    "pick_up",
    "batch_of_25",
    "thousand",
    "throughput",
    "store_cost",
    "in_flight",
    "big_pictures",
    "phone_pictures",
    "backlog",
    "scaling",
)
ASKED_FOR = ("growth",)
"""Rows that run only where `--only` names them."""


def main() -> int:
    """Run, show, write."""
    options = _options()
    try:
        report = _beside(options) if options.beside else _alone(options)
    except revision.NoSuchRevision as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    options.out.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    for name, why in report.broken.items():
        _say(f"{name} could not run: {why}")
    return 1 if report.broken else 0


def _alone(options: argparse.Namespace) -> Report:
    rows: list[Row] = []
    broken: dict[str, str] = {}
    for name in options.only or ROWS:
        began = time.monotonic()
        try:
            run = import_module(f"tests.bench.{name}").run
            measured = run(options.quick, whole=True) if options.whole else run(options.quick)
        except Exception as error:  # noqa: BLE001 - the other rows still run, and the exit code tells
            broken[name] = repr(error)
            traceback.print_exc()
            continue
        rows += [msgspec.structs.replace(row, load=round(machine.load(), 1)) for row in measured]
        _say(f"-- {name}: {time.monotonic() - began:.0f} s, load {machine.load():.1f}")
        _say(as_text(rows[-len(measured) :]))
    _say(f"\n{machine.describe()}\n{as_markdown(rows) if options.markdown else as_text(rows)}")
    return _report(rows, broken)


def _beside(options: argparse.Namespace) -> Report:
    commit = revision.commit_of(options.beside)
    names = options.only or beside.UNDER_A_MINUTE
    _say(f"{options.beside} ({commit[:7]}) beside this checkout, {beside.RUNS} runs each: {', '.join(names)}")
    if not options.only:
        long = ", ".join(name for name in ROWS if name not in names)
        _say(f"left out, over a minute each: {long} (--only NAME compares one)")
    found, rows, broken = beside.measure(commit, names, options.quick, _say)
    shown = beside_as_markdown if options.markdown else beside_as_text
    _say(f"\n{machine.describe()}\n{shown(found.verdicts)}")
    slower = sum(verdict.slower for verdict in found.verdicts)
    short = sum(verdict.passed is False for verdict in found.verdicts)
    _say(f"{slower} of {len(found.verdicts)} slower than {commit[:7]}, {short} beyond their limit")
    return _report(rows, broken, found)


def _report(rows: list[Row], broken: dict[str, str], found: Beside | None = None) -> Report:
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    return Report(
        machine=machine.describe(), when=when, rows=rows, broken=broken, product=_product(), beside=found
    )


def _product() -> str:
    """The folder of the package that this process and those that it starts find."""
    spec = find_spec("image2model")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).resolve().parent)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.bench")
    names = (*ROWS, *ASKED_FOR)
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="small numbers: does it run?")
    parser.add_argument("--whole", action="store_true", help="with --only growth: to 100,000 images")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--beside", metavar="REV", help="another revision, measured in turns with this one")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="where the figures are written")
    options = parser.parse_args()
    if options.whole and options.only != list(ASKED_FOR):
        parser.error("--whole is for --only growth")
    return options


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
