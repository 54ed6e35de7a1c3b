"""Our programs as processes that start at once: forked off a server that has imported what they import.

Importing is nearly all of what a start costs, half a second of CPU, and most tests are not about it. Who
calls it: what starts workers, APIs, emulators and commands for tests. Tests of the start itself, and the
bench, start processes as people do. There is one server for each process of the tests, from the first use on.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.support.starts import Output, Process, interpreter

LARGEST_REQUEST: Final = 1 << 17
"""Bytes: most of it an environment."""
_OURS: Final = ("I2M_", "FAL_", "PYTEST_")
"""Only these are read when a program runs. Python and libraries read others when they are imported."""


class Program:
    """One process, with what tests need of `subprocess.Popen`."""

    def __init__(self, server: "Server", pid: int) -> None:
        self.pid = pid
        self._server = server

    @property
    def returncode(self) -> int | None:
        """As of the last `poll`."""
        return self._server.ended.get(self.pid)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        self._server.read(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = 1.0 if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self._server.read(left)
        return code

    def send_signal(self, number: int) -> None:
        """A signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def start(
    command: Sequence[str],
    environment: Mapping[str, str],
    stdout: Output,
    stderr: Output,
    folder: Path | None = None,
) -> Process:
    """Run `python -m COMMAND` with this environment and nothing else of ours.

    Where the environment has what is read by imports, it is a new interpreter.
    """
    if _differs(environment):
        return interpreter(command, environment, stdout, stderr, folder)
    return _server().start(command, environment, stdout, stderr, folder or Path.cwd())


def _differs(environment: Mapping[str, str]) -> bool:
    given, own = set(environment.items()), set(os.environ.items())
    return any(not name.startswith(_OURS) for name, _ in given ^ own)


class Server:
    """The server, and what has ended of what it started."""

    def __init__(self) -> None:
        self.ended: dict[int, int] = {}
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        atexit.register(self.end)

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        stdout: Output,
        stderr: Output,
        folder: Path,
    ) -> Program:
        """Fork one off; see `start`."""
        module, *arguments = map(str, command)
        message = json.dumps([module, arguments, dict(environment), str(folder)]).encode()
        assert len(message) < LARGEST_REQUEST
        output = [one if isinstance(one, int) else one.fileno() for one in (stdout, stderr)]
        with self._lock:
            socket.send_fds(self._socket, [message], output)
            while len(answer := self._receive()) == 2:
                self._note(*answer)
            (pid,) = answer
            self.ended.pop(pid, None)  # of an earlier process with this id
        return Program(self, pid)

    def read(self, seconds: float) -> None:
        """Note what has ended; wait so long for it."""
        with self._lock:
            while select.select([self._socket], [], [], seconds)[0]:
                self._note(*self._receive())
                seconds = 0

    def end(self) -> None:
        """It kills what still runs."""
        self._socket.close()
        self._process.wait(20)

    def _receive(self) -> list[int]:
        message = self._socket.recv(LARGEST_REQUEST)
        assert message, "the fork server has ended"
        numbers: list[int] = json.loads(message)
        return numbers

    def _note(self, pid: int, status: int) -> None:
        self.ended[pid] = os.waitstatus_to_exitcode(status)


_servers: list[Server] = []


def _server() -> Server:
    if not _servers:
        _servers.append(Server())
    return _servers[0]
