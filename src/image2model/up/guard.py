"""Reports the children that must not outlive `up` to a watchdog process, which ends them if `up` is killed.

On Linux the kernel sends each child a signal as well (see `children.die_with_parent`). The watchdog works
everywhere, and kills children that are slow to obey SIGTERM.
"""

import subprocess
import sys
from contextlib import suppress
from typing import Self

from image2model.up import watchdog


class Guard:
    """Within `with`: a watchdog, which outlives this process just long enough to end the children."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._watched: dict[int, str] = {}

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            with suppress(BrokenPipeError):
                self._process.communicate()

    def watch(self, pid: int, role: str) -> None:
        """End `pid` if this process is killed; a child with the role `store` ends last."""
        self._watched[pid] = role
        self._send(f"+ {pid} {role}\n")

    def forget(self, pid: int) -> None:
        """`pid` has ended."""
        if self._watched.pop(pid, None):
            self._send(f"- {pid}\n")

    def _start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", "-S", watchdog.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def _send(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("the guard is not running")
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:  # the watchdog was killed: start another, and send it the whole list
            self._process.wait()
            self._start()
            for pid, role in self._watched.items():
                self._send(f"+ {pid} {role}\n")
