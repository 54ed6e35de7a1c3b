"""Ends of processes that nobody ordered: counted where `/metrics` of the API shows them.

Who calls it: the supervisor. A kernel that is out of memory kills with SIGKILL, a fault in a library ends
with SIGSEGV: somebody should look, though the process is started again.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
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


_PR_SET_PDEATHSIG: Final = 1


def die_with_parent() -> Callable[[], None] | None:
    """A `preexec_fn`: SIGTERM on the parent's death. None where the kernel has no such thing."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died between the fork and the call above
            os._exit(1)

    return before_exec


_FIRST_DELAY: Final = 0.2
_LONGEST_DELAY: Final = 10.0
_STEADY_SECONDS: Final = 30.0


class Restarts:
    """Of one process. `deaths` counts those in a row; half a minute of life forgets them."""

    def __init__(self) -> None:
        self.deaths = 0
        self._began = 0.0
        self._due = 0.0

    @property
    def due_in(self) -> float:
        """Seconds until it is to be started again."""
        return max(0.0, self._due - time.monotonic())

    def began(self) -> None:
        """It has been started."""
        self._began = time.monotonic()

    def died(self) -> None:
        """It has ended, and nobody had asked it to."""
        now = time.monotonic()
        self.deaths = 1 if now - self._began > _STEADY_SECONDS else self.deaths + 1
        self._due = now + min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (self.deaths - 1))


class Child:
    """`name` is for messages."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._restarts = Restarts()

    @property
    def deaths(self) -> int:
        """How often it has died in a row."""
        return self._restarts.deaths

    @property
    def pid(self) -> int | None:
        """The process id, until its end has been noticed by `ended`."""
        return self._process.pid if self._process else None

    @property
    def due_in(self) -> float:
        """Seconds until a dead child is to be started again."""
        return self._restarts.due_in

    def spawn(self) -> int:
        """Start it, from the main thread (see `parentage`), and return its process id."""
        self._restarts.began()
        self._process = subprocess.Popen(  # noqa: S603 - our own programs
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
        return self._process.pid

    def ended(self) -> int | None:
        """Its exit status (negative: a signal) once, when it has died; then it waits to be started again."""
        if self._process is None or (status := self._process.poll()) is None:
            return None
        self._process = None
        self._restarts.died()
        return status

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL for it and what it started."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
