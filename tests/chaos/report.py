"""Several runs, one table: a row for every run that was started, however it ended.

Who calls it: the command line. Each run is a process of its own, so that one that crashes is a row too.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from image2model.up.children import die_with_parent

_END_S = 60.0
COLUMNS = (
    "seed",
    "accepted",
    "lost",
    "submitted twice",
    "succeeded",
    "unconfirmed",
    "worker_crashed",
    "kills",
    "events missed",
    "workers that ended by themselves",
    "seconds",
    "exit",
)


class Row(msgspec.Struct, kw_only=True):
    """One run. `numbers` are the verdict's, empty where there is none; `exit` 0: every promise was kept."""

    seed: int
    seconds: float
    exit: int
    numbers: dict[str, object]
    broken: list[str]

    def cells(self) -> list[str]:
        """By `COLUMNS`."""
        shown = {
            **self.numbers,
            "seed": self.seed,
            "events missed": self.numbers.get("states missed", "-"),
            "workers that ended by themselves": self._bad_ends(),
            "seconds": round(self.seconds),
            "exit": self.exit,
        }
        return [str(shown.get(column, "-")) for column in COLUMNS]

    def _bad_ends(self) -> str:
        ends = self.numbers.get("workers that ended by themselves")
        return "-" if not isinstance(ends, list) else ", ".join(map(str, ends)) or "0"


read_row = msgspec.json.Decoder(Row).decode


def table(rows: Sequence[Row]) -> str:
    """As Markdown, with a line for each broken promise below it."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(row.cells())} |" for row in rows]
    lines += [f"BROKEN (seed {row.seed}): {sentence}" for row in rows for sentence in row.broken]
    return "\n".join(lines)


def run_all(seeds: Sequence[int], command: Callable[[int, Path], list[str]], folder: Path) -> list[Row]:
    """One run after the other. `command` makes a run's command line, which writes its row to the path.

    An interrupt ends the run under way, which is a failed row then, and begins no other.
    """
    rows: list[Row] = []
    for seed in seeds:
        row, interrupted = _run(seed, command, folder / f"{seed}-{len(rows)}.json")
        rows.append(row)
        sys.stdout.write(table([row]) + "\n")
        sys.stdout.flush()
        if interrupted:
            break
    return rows


def _run(seed: int, command: Callable[[int, Path], list[str]], said: Path) -> tuple[Row, bool]:
    begun = time.monotonic()
    process = subprocess.Popen(command(seed, said), preexec_fn=die_with_parent())
    interrupted = False
    try:
        process.wait()
    except KeyboardInterrupt:
        interrupted = True
        _end(process)
    seconds = time.monotonic() - begun
    if said.exists() and process.returncode in (0, 1) and not interrupted:
        return msgspec.structs.replace(read_row(said.read_bytes()), seconds=seconds), False
    how = "was interrupted" if interrupted else _ending(process.returncode)
    broken = [f"the run {how} after {seconds:.0f} s"]
    return Row(
        seed=seed, seconds=seconds, exit=process.returncode or 1, numbers={}, broken=broken
    ), interrupted


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and see that it does."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


def _ending(code: int) -> str:
    if code < 0:
        return f"crashed: {signal.Signals(-code).name}"
    return f"crashed: exit code {code}" if code else "left no verdict"
