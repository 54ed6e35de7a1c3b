"""A process that has imported what our programs import, and forks a new one off for each request.

Who calls it: `tests.support.forked`, over a socket whose descriptor is the first argument. A request is a
module with its arguments, an environment, a folder and two descriptors for its output. The answer is its
process id. When it has ended, its id and its wait status follow. The end of the socket kills what still runs.
"""

import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
from typing import Final

from image2model.cli.process import lean_imports
from tests.support.forked import LARGEST_REQUEST

_SERVING: Final = (
    *("image2model.worker.process", "image2model.api.server", "fal_emulator.program"),
    *("aiohttp", "fal_client"),  # imported at the first call of FAL
)
_COMMANDS: Final = "image2model.cli.commands"


class Request:
    """One program to run. `output`: its stdout and its stderr."""

    def __init__(self, message: bytes, output: list[int]) -> None:
        self.module, self.arguments, self.environment, self.folder = json.loads(message)
        self.output = output


def serve(control: socket.socket) -> Request | None:
    """Answer until the socket ends, then None. In each new process: what to run there."""
    running: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for ready, _ in selector.select():
                if ready.fileobj is not control:
                    selector.unregister(ready.fileobj)
                    _tell_end(control, running, ready.fd)
                    continue
                message, descriptors, _, _ = socket.recv_fds(control, LARGEST_REQUEST, 2)
                if not message:
                    for pid in running.values():
                        os.kill(pid, signal.SIGKILL)
                    return None
                request = Request(message, descriptors)
                if (pid := os.fork()) == 0:
                    return request
                for descriptor in descriptors:
                    os.close(descriptor)
                control.send(json.dumps([pid]).encode())
                handle = os.pidfd_open(pid)
                running[handle] = pid
                selector.register(handle, selectors.EVENT_READ)


def _tell_end(control: socket.socket, running: dict[int, int], handle: int) -> None:
    os.close(handle)
    control.send(json.dumps(os.waitpid(running.pop(handle), 0)).encode())


def become(request: Request) -> None:
    """Be the program's process: its output, its environment, its arguments, and nothing of the server's."""
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in zip((null, *request.output), (0, 1, 2), strict=True):
        os.dup2(source, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.folder)
    sys.argv = [request.module, *request.arguments]
    runpy.run_module(request.module, run_name="__main__", alter_sys=True)


def main() -> None:
    """Import, then serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks for programs decides
    with lean_imports():
        for name in _SERVING:
            importlib.import_module(name)
    for module in pkgutil.iter_modules(importlib.import_module(_COMMANDS).__path__, f"{_COMMANDS}."):
        importlib.import_module(module.name)
    gc.freeze()  # what is here is never garbage, and stays shared with each new process
    with socket.socket(fileno=int(sys.argv[1])) as control:
        request = serve(control)
        if request is not None:
            control.detach()
    if request is not None:
        become(request)


if __name__ == "__main__":
    main()
