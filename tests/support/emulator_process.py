"""The FAL emulator as a process of its own, as `up` runs it, and a handle to steer and to read it.

Used by tests whose own loop must not serve FAL as well: the gateway's, the worker's, the chaos suite's.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import msgspec

from tests.support.emulator import fault_rule
from tests.support.secrecy import Watch
from tests.support.starts import Start, interpreter

KEY = "test-id:test-secret"


class EmulatorProcess(msgspec.Struct, frozen=True):
    """`url` is the base of all FAL hosts, without a trailing slash."""

    url: str
    pid: int
    http: httpx.Client

    def fault(
        self,
        kind: str,
        *,
        count: int | None = None,
        rate: float | None = None,
        value: str | float | None = None,
        endpoint: str | None = None,
    ) -> None:
        """Switch a fault on, for the next `count` requests or by rate; `endpoint`: only requests to it."""
        rule = fault_rule(kind, rate, count, value, endpoint)
        self.http.post("/_emulator/faults", json=rule).raise_for_status()

    def settings(self, **changes: Any) -> None:
        """Change latency (seconds), concurrency or lookup lag at run time."""
        self.http.post("/_emulator/settings", json=changes).raise_for_status()

    def ledger(self) -> dict[str, Any]:
        """The ledger's document."""
        return dict(self.http.get("/_emulator/ledger").raise_for_status().json())

    def submissions(self) -> list[dict[str, Any]]:
        """What it has accepted since the last reset."""
        return list(self.ledger()["submissions"])

    def reset(self, **settings: Any) -> None:
        """No faults, an empty ledger, and these settings."""
        self.http.delete("/_emulator/faults").raise_for_status()
        self.http.delete("/_emulator/ledger").raise_for_status()
        self.settings(**settings)


@contextmanager
def emulator_process(
    *flags: str, environment: Mapping[str, str] | None = None, start: Start = interpreter
) -> Iterator[EmulatorProcess]:
    """A running emulator on a free port of loopback; it ends with the block, or with this process.

    Raises SecretLeaked at the end if it wrote a secret.
    """
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        log = Path(folder) / "emulator.log"
        watch = Watch({"FAL_KEY": KEY}, log)
        try:
            with log.open("wb") as out, _running(flags, environment or {}, out, start) as emulator:
                yield emulator
        finally:
            watch.check()
            sys.stderr.write(log.read_text())


@contextmanager
def _running(
    flags: Sequence[str], environment: Mapping[str, str], log: IO[bytes], start: Start
) -> Iterator[EmulatorProcess]:
    command = ("fal_emulator", "--port", "0", "--exit-with-parent", *flags)
    reading, writing = os.pipe()
    process = start(command, {**os.environ, **environment}, writing, log)
    os.close(writing)
    said = os.fdopen(reading)
    try:
        line = said.readline()
        found = re.search(r"http://\S+", line)
        assert found, f"the emulator did not start: {line!r}"
        with httpx.Client(base_url=found[0], headers={"Authorization": f"Key {KEY}"}, timeout=20) as http:
            yield EmulatorProcess(found[0], process.pid, http)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        said.close()
