"""Ends the children of an `up` that was killed. A separate program on the standard library alone.

`guard` starts it with a pipe as standard input and sends a line for each child: `+ 4711 worker`, `+ 4712
store`, `- 4711`. The pipe ends when `up` does. Then every listed child gets SIGTERM, and SIGKILL after a
moment; the store comes last. Each child leads a session of its own, which tells it from a process that has
since got the same id. The watchdog never touches a process that was not listed.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

SIGTERM_SECONDS = 2.5
STORE_SECONDS = 1.0


def main() -> None:
    """Read the list until the pipe ends, then end the children that are left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left: dict[int, str] = {}
    for line in sys.stdin:
        sign, pid, *role = line.split()
        if sign == "+":
            left[int(pid)] = role[0]
        else:
            left.pop(int(pid), None)
    end([pid for pid, role in left.items() if role != "store"], SIGTERM_SECONDS)
    end([pid for pid, role in left.items() if role == "store"], STORE_SECONDS)


def end(pids: list[int], seconds: float) -> None:
    """SIGTERM, then SIGKILL for those that still run after `seconds`."""
    signal_all(pids, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while any(map(is_child, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    signal_all(pids, signal.SIGKILL, os.killpg)


def signal_all(pids: list[int], number: int, kill: Callable[[int, int], None] = os.kill) -> None:
    """Send a signal to those that are still children."""
    for pid in filter(is_child, pids):
        try:
            kill(pid, number)
        except ProcessLookupError:
            continue


def is_child(pid: int) -> bool:
    """Whether the process lives and leads its session, as every child of `up` does."""
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


if __name__ == "__main__":
    main()
