"""Child processes: started, restarted with growing delays, stopped, and counted when a signal kills one.

A kernel that is out of memory kills with SIGKILL, a fault in a library ends with SIGSEGV: although `up`
restarts the process, `/metrics` of the API shows such deaths, so that an alert can fire. Spawn children from
the main thread: the parent-death signal follows the thread that forked.
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

_METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
_PR_SET_PDEATHSIG: Final = 1
_FIRST_DELAY: Final = 0.2
_LONGEST_DELAY: Final = 10.0
_STEADY_SECONDS: Final = 30.0


class Restarts:
    """When to restart one process. `deaths` counts those in a row; a run of half a minute resets it."""

    def __init__(self) -> None:
        self.deaths = 0
        self._began = 0.0
        self._due = 0.0

    @property
    def due_in(self) -> float:
        """Seconds until the restart is due."""
        return max(0.0, self._due - time.monotonic())

    def began(self) -> None:
        """It has been started."""
        self._began = time.monotonic()

    def left(self) -> None:
        """It has ended in good order, to be replaced at once."""
        self.deaths, self._due = 0, 0.0

    def died(self) -> None:
        """It has ended unexpectedly."""
        now = time.monotonic()
        self.deaths = 1 if now - self._began > _STEADY_SECONDS else self.deaths + 1
        self._due = now + min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (self.deaths - 1))


class Child:
    """One child process; `name` is for messages."""

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
        """Seconds until the restart of a dead child is due."""
        return self._restarts.due_in

    def spawn(self) -> int:
        """Start it, from the main thread, and return its process id."""
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
        """Its exit status (negative: a signal) once, when it has ended; then it waits for its restart, which
        is due at once after an end in good order (0)."""
        if self._process is None or (status := self._process.poll()) is None:
            return None
        self._process = None
        if status == 0:
            self._restarts.left()
        else:
            self._restarts.died()
        return status

    def terminate(self) -> None:
        """SIGTERM."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL for it and what it started."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)


def describe_exit(status: int) -> str:
    """The end of a process in words: `signal SIGSEGV`, or `status 1`."""
    return f"signal {_name(-status)}" if status < 0 else f"status {status}"


def share_counts(metrics: Path) -> None:
    """Count into the children's folder. Call it before prometheus_client is imported."""
    os.environ[_METRICS_FOLDER] = str(metrics)


def count_death(process: str, status: int) -> None:
    """Count the end of a process that `up` did not stop, if a signal caused it."""
    if status >= 0:
        return
    # imported only when needed: it takes a while
    from image2model.telemetry.metrics import PROCESS_DEATHS

    PROCESS_DEATHS.labels(process, _name(-status)).inc()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def die_with_parent() -> Callable[[], None] | None:
    """A `preexec_fn` that asks for SIGTERM on the parent's death. None where the kernel cannot do that."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died between the fork and the call above
            os._exit(1)

    return before_exec
