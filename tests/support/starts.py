"""How tests start a program of ours: as people do, or forked off. It imports nothing of the product."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

Output = int | IO[bytes]
"""A descriptor, or a file that has one."""


class Process(Protocol):
    """What tests need of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...

    def kill(self) -> None: ...


class Start(Protocol):
    """Starts `python -m COMMAND` in this environment."""

    def __call__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        stdout: Output,
        stderr: Output,
        folder: Path | None = None,
    ) -> Process: ...


def interpreter(
    command: Sequence[str],
    environment: Mapping[str, str],
    stdout: Output,
    stderr: Output,
    folder: Path | None = None,
) -> Process:
    """A new one, which has imported nothing, as people start it."""
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        cwd=folder,
    )
