"""A place in the fleet that is always filled: a worker or an API process, started again when it ends.

Who calls it: the world makes them, the driver strikes them. The log of all incarnations is one file.
"""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from image2model.up.children import die_with_parent
from tests.support.secrecy import Watch

_READY = {"worker": b'"worker_ready"', "api": b'"ready"'}
_ORDERED_ENDS = {
    signal.SIGKILL: {-signal.SIGKILL},
    # 1: it was cut off at the end of its grace; -15: the order came before its handlers stood
    signal.SIGTERM: {0, 1, -signal.SIGTERM},
}


@dataclass
class ProcessRun:
    """One process of a slot. Times are the wall clock's; `struck` is the last order to end."""

    begun: float
    struck: signal.Signals | None = None
    struck_at: float = 0.0
    ended: float = float("inf")

    def held(self, moment: float) -> bool:
        """Whether it lived then."""
        return self.begun <= moment <= self.ended


class Slot:
    """One process after the other. `run` keeps it filled until `end`."""

    def __init__(self, command: str, number: int, environment: Mapping[str, str], folder: Path) -> None:
        self.name = f"{command}-{number}"
        self.log = folder / f"{self.name}.log"
        self.watch = Watch(environment, self.log)
        self.runs: list[ProcessRun] = []
        self.bad_ends: list[str] = []
        self._command = command
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._stopped = False
        self._ending = False

    @property
    def pid(self) -> int | None:
        """Of the process that fills it just now."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def is_ready(self) -> bool:
        """Whether it works just now: started, and neither stopped nor told to end."""
        return self._ready and not self._stopped and not self._struck

    @property
    def starts(self) -> int:
        """How many processes there were."""
        return len(self.runs)

    @property
    def _struck(self) -> signal.Signals | None:
        return self.runs[-1].struck if self.runs else None

    async def run(self) -> None:
        """Fill the slot for ever."""
        while not self._ending:
            process, offset = self._start()
            while process.poll() is None:
                if not self._ready:
                    self._ready = self._said_ready(offset)
                await asyncio.sleep(0.05)
            self._note_end(process.returncode)
            if self._struck is None:
                await asyncio.sleep(0.5)
            self._ready = False

    def _note_end(self, code: int) -> None:
        run = self.runs[-1]
        run.ended = time.time()
        # without an order: one that does not find the store at its start may say so and end
        fine = code in _ORDERED_ENDS[run.struck] if run.struck else not self._ready and code > 0
        if not fine:
            self.bad_ends.append(signal.Signals(-code).name if code < 0 else f"exit code {code}")

    def kill(self) -> None:
        """As a crash would."""
        self._strike(signal.SIGKILL)

    def terminate(self) -> None:
        """As a deploy would."""
        self._strike(signal.SIGTERM)

    async def stop(self, seconds: float) -> None:
        """Frozen for so long, as by a sleeping laptop or a swapping host."""
        self._stopped = True
        try:
            self._send(signal.SIGSTOP)
            await asyncio.sleep(seconds)
        finally:
            self._send(signal.SIGCONT)
            self._stopped = False

    async def end(self) -> None:
        """Gone for good."""
        self._ending = True
        self._send(signal.SIGCONT)
        self._strike(signal.SIGTERM)
        for _ in range(400):
            if self._process is None or self._process.poll() is not None:
                return
            await asyncio.sleep(0.02)
        self._strike(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def _start(self) -> tuple[subprocess.Popen[bytes], int]:
        self.runs.append(ProcessRun(time.time()))
        self._ready = False
        with self.log.open("ab") as out:
            offset = out.tell()
            command = [sys.executable, "-m", "image2model", self._command]
            self._process = subprocess.Popen(
                command, env=self._environment, stdout=out, stderr=out, preexec_fn=die_with_parent()
            )
        return self._process, offset

    def _said_ready(self, offset: int) -> bool:
        with self.log.open("rb") as log:
            log.seek(offset)
            return _READY[self._command] in log.read()

    def _strike(self, number: signal.Signals) -> None:
        if self.runs and self.pid is not None:
            self.runs[-1].struck, self.runs[-1].struck_at = number, time.time()
            self._send(number)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
