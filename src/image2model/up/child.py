"""One child process of `up`, started again when it dies, ever more slowly when it keeps dying.

Who calls it: the supervisor. A child has a session of its own, so that a Ctrl-C in the terminal reaches
only `up`, which stops the children in their order.
"""

import os
import signal
import subprocess

from image2model.up.parentage import die_with_parent
from image2model.up.restarts import Restarts


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
