"""Ends this process when its parent dies, however the parent dies. Called by the command line.

Linux has a signal for it (prctl PR_SET_PDEATHSIG); elsewhere a thread watches for a new parent.
"""

import ctypes
import os
import platform
import signal
import threading
import time

_PR_SET_PDEATHSIG = 1
_WATCH_INTERVAL = 0.5


def exit_with_parent(parent: int) -> None:
    """From now on SIGTERM comes when the process `parent` ends; at once if it has ended already."""
    if platform.system() == "Linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True, name="lifeline").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_INTERVAL)
    os.kill(os.getpid(), signal.SIGTERM)
