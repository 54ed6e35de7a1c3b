"""This checkout beside another revision, row by row: three runs of each side, in turns.

Who calls it: the command, for `make bench BESIDE=REV`. Each run is a process of its own, so that a row which
uses the product's modules itself gets those of its side.
"""

import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, median_low
from typing import Final

import msgspec

from tests.bench.revision import ROOT, Side, checked_out
from tests.bench.row import BASELINE, Row
from tests.bench.table import Beside, Report
from tests.bench.verdict import Verdict, compare, keeps

UNDER_A_MINUTE: Final = (
    "start_up",
    "upload",
    "status_rates",
    "upload_of_small",
    "idle",
    "pick_up",
    "batch_of_25",
    "thousand",
    "throughput",
    "store_cost",
    "big_pictures",
)
"""The rows that are compared unless others are asked for."""
RUNS: Final = 3
_PATIENCE_S: Final = 60
"""How long an interrupted run may take to stop what it started."""

Say = Callable[[str], None]
Pair = tuple[list[Row], list[Row]]


class RunFailed(Exception):
    """A run of a row ended without a figure; the end of what it wrote."""


def measure(
    commit: str, names: Sequence[str], quick: bool, say: Say
) -> tuple[Beside, list[Row], dict[str, str]]:
    """The verdicts, this checkout's rows of the run with the median, and why the others could not run."""
    verdicts: list[Verdict] = []
    rows: list[Row] = []
    broken: dict[str, str] = {}
    with checked_out(commit) as (here, there):
        for name in names:
            try:
                runs = [_turn(number, name, quick, here, there, say) for number in range(RUNS)]
            except RunFailed as error:
                broken[name] = str(error)
                continue
            judged, middle = judge(runs, commit)
            verdicts += judged
            rows += middle
    return Beside(commit=commit, runs=RUNS, verdicts=verdicts), rows, broken


def judge(runs: Sequence[Pair], commit: str) -> tuple[list[Verdict], list[Row]]:
    """The verdict on each row of some runs of both sides, and this checkout's row of the middle run.

    `commit`: the other side's; limits that are shares of BASELINE hold beside that revision alone.
    """
    verdicts, rows = [], []
    here, there = _by_row([one for one, _ in runs]), _by_row([one for _, one in runs])
    compared = [(ours, there[what]) for what, ours in here.items() if what in there]
    for ours, theirs in compared:  # what one side alone can do has nothing beside it
        verdicts.append(_verdict(ours, theirs, commit))
        rows.append(sorted(ours, key=lambda row: row.value)[len(ours) // 2])
    return verdicts, rows


def _verdict(ours: Sequence[Row], theirs: Sequence[Row], commit: str) -> Verdict:
    first = ours[0]
    values = [row.value for row in ours], [row.value for row in theirs]
    found = compare(first.what, first.unit, first.better, *values)
    ratios = [row.ratio for row in ours if row.ratio is not None]
    passed: bool | None = median_low(bool(row.passed) for row in ours)  # most runs keep it: the median does
    if first.factor is not None:
        passed = keeps(first.factor, first.better, found.ratio) if commit.startswith(BASELINE) else None
    return msgspec.structs.replace(
        found, limit=first.limit, yardstick=median(ratios) if ratios else None, passed=passed
    )


def _by_row(runs: Sequence[list[Row]]) -> dict[str, tuple[Row, ...]]:
    return {rows[0].what: rows for rows in zip(*runs, strict=True)}


def _turn(number: int, name: str, quick: bool, here: Side, there: Side, say: Say) -> Pair:
    """One run of each side. Who comes first changes, so that a machine that gets busier is so for both."""
    order = (there, here) if number % 2 == 0 else (here, there)
    found = {}
    for side in order:
        found[side.name] = run(side, name, quick)
        say(f"-- {name}, run {number + 1} of {RUNS}, {side.name}: " + _figures(found[side.name]))
    return found[here.name], found[there.name]


def run(side: Side, name: str, quick: bool) -> list[Row]:
    """One row, measured in a process of its own. Raises RunFailed."""
    out, log = side.path / "run.json", side.path / "run.log"
    command = [side.python, "-m", "tests.bench", "--only", name, "--out", str(out), *["--quick"] * quick]
    out.unlink(missing_ok=True)
    with log.open("wb") as written:
        # a session of its own: Ctrl-C reaches it once, from here, and it stops what it started
        process = subprocess.Popen(
            command, cwd=ROOT, env=side.environment(), stdout=written, stderr=written, start_new_session=True
        )
        try:
            code = process.wait()
        except BaseException:
            _stop(process)
            raise
    if code or not out.exists():
        raise RunFailed(f"{side.name} ended with {code}:\n{log.read_text(errors='replace')[-2000:]}")
    return _rows(side, out)


def _rows(side: Side, out: Path) -> list[Row]:
    report = msgspec.json.decode(out.read_bytes(), type=Report)
    measured = Path(report.product)
    if measured != side.product.resolve():
        raise RunFailed(f"{side.name} measured {measured}, and not {side.product}")
    return report.rows


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _figures(rows: Sequence[Row]) -> str:
    return ", ".join(row.ours for row in rows)
