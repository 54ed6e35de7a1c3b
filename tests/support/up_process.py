"""`image2model up` as a process, on free ports. Who uses it: the tests of `up` and of the page."""

import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support import command as program
from tests.support.processes import children_of, command_of
from tests.support.secrecy import Watch

READY_SECONDS: Final = 60.0


class Up:
    """One run, its standard output read line by line."""

    def __init__(self, data_dir: Path, *flags: str, **environment: str) -> None:
        self.data_dir = data_dir
        self.log = data_dir.parent / "up.log"
        self._watch = Watch(environment, self.log)
        command = [sys.executable, "-m", "image2model", "up", "--emulator-port", "0", "--latency", "100ms"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *(flags or ("--port", "0"))],
                env=program.environment(**{"I2M_DATA_DIR": str(data_dir), **environment}),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.seen: list[str] = []

    def until(self, pattern: str) -> str:
        """The first line that matches; AssertionError with what was said when the process ends first."""
        while (line := self._lines.get(timeout=READY_SECONDS)) is not None:
            self.seen.append(line)
            if re.search(pattern, line):
                return line
        raise AssertionError(f"{self.seen} {self.log.read_text()[-2000:]}")

    def ready(self) -> "Up":
        """Wait for it."""
        self.until("^ready")
        return self

    @property
    def url(self) -> str:
        """Where the API is, by the banner."""
        return next(line.split()[-1] for line in self.seen if line.startswith("image2model"))

    def pids(self, of: str = "") -> list[int]:
        """Its children whose command line has `of`."""
        return [pid for pid in children_of(self.process.pid) if of in command_of(pid)]

    def readiness(self) -> int:
        """The status of `health/ready`; 0 while nothing answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/health/ready", timeout=60) as answer:  # noqa: S310
                return int(answer.status)
        except OSError:
            return 0

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """The exit code. Raises SecretLeaked if it, or a child of its, wrote a secret."""
        code = self.process.wait(40)
        self._reader.join(10)
        if self.process.stdout:
            self.process.stdout.close()
        self._watch.check("\n".join([*self.seen, *filter(None, list(self._lines.queue))]))
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip())
        self._lines.put(None)


@dataclass(frozen=True)
class Running:
    """Where the service answers."""

    url: str


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """`image2model up` with its emulator, without keys, on free ports."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        up = Up(Path(folder) / "data", "--port", "0", "--latency", "200ms", I2M_LOG_LEVEL="warning")
        try:
            yield Running(up.ready().url)
        finally:
            up.end()
