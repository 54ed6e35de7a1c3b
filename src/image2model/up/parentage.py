"""Makes a child die with the process that forked it, where the kernel can do that (Linux).

Who calls it: whatever forks a child in `up`. Elsewhere the watchdog process does the same work. The
kernel ties the signal to the *thread* that forked, so children are forked from a main thread only.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def die_with_parent() -> Callable[[], None] | None:
    """A `preexec_fn`: SIGTERM on the parent's death. None where the kernel has no such thing."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died between the fork and the call above
            os._exit(1)

    return before_exec
