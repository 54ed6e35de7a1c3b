"""Ends of processes that nobody ordered: counted where `/metrics` of the API shows them.

Who calls it: the supervisor. A kernel that is out of memory kills with SIGKILL, a fault in a library ends
with SIGSEGV: somebody should look, though the process is started again.
"""

import os
import signal
from pathlib import Path
from typing import Final

_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"


def cause(status: int) -> str:
    """What ended a process, for people: `signal SIGSEGV`, or `status 1`."""
    return f"signal {_name(-status)}" if status < 0 else f"status {status}"


def count_into(metrics: Path) -> None:
    """Share the folder of the children's counts: before prometheus_client is imported, which looks for it."""
    os.environ[_FOLDER] = str(metrics)


def count_death(process: str, status: int) -> None:
    """Count the end of a process that `up` did not stop, if a signal caused it."""
    if status >= 0:
        return
    # not before it is needed: importing it takes a while
    from image2model.telemetry.metrics import PROCESS_DEATHS

    PROCESS_DEATHS.labels(process, _name(-status)).inc()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
