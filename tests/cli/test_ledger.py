"""The ledger of `submit` and `watch` is closed only when nobody uses it any more."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

CLOSED_UNDER_A_STATEMENT = """
import sqlite3, sys, threading
from pathlib import Path
from image2model.cli.submit.ledger import Ledger

begun, closing = threading.Event(), threading.Event()

def claims():
    for number in range(3000):
        yield f"{number}", Path(f"{number}.png"), "0" * 64
        begun.set()
    closing.wait()

with Ledger(Path(sys.argv[1])) as ledger:
    thread = threading.Thread(target=ledger.claim, args=(claims(),))
    thread.start()
    begun.wait()
    closing.set()
thread.join()
with Ledger(Path(sys.argv[1])) as ledger:
    print(len(ledger.claims()))
"""


@pytest.mark.long
def test_ledger_is_not_closed_under_a_statement(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLOSED_UNDER_A_STATEMENT, str(tmp_path / "ledger.db")],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != -signal.SIGSEGV
    assert (done.returncode, done.stdout) == (0, "3000\n"), done.stderr
