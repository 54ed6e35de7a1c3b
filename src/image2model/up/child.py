"""One child process of `up`, started again when it dies, ever more slowly when it keeps dying.

Who calls it: the supervisor. A child has a session of its own, so that a Ctrl-C in the terminal reaches
only `up`, which stops the children in their order.
"""

import os
import signal
import subprocess
import time
from typing import Final

from image2model.up.parentage import die_with_parent

_FIRST_DELAY: Final = 0.2
_LONGEST_DELAY: Final = 10.0
_STEADY_SECONDS: Final = 30.0


class Child:
    """`name` is for messages. `deaths` counts those in a row; half a minute of life forgets them."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self.deaths = 0
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._due = 0.0

    @property
    def pid(self) -> int | None:
        """The process id, until its end has been noticed by `ended`."""
        return self._process.pid if self._process else None

    @property
    def due_in(self) -> float:
        """Seconds until a dead child is to be started again."""
        return max(0.0, self._due - time.monotonic())

    def spawn(self) -> int:
        """Start it, from the main thread (see `parentage`), and return its process id."""
        self._began = time.monotonic()
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
        lived = time.monotonic() - self._began
        self.deaths = 1 if lived > _STEADY_SECONDS else self.deaths + 1
        self._due = time.monotonic() + min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (self.deaths - 1))
        return status

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL for it and what it started."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
