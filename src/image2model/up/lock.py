"""An exclusive lock on a folder: one `up` for each data folder, one embedded store for each store folder.

A file descriptor holds the lock, so it ends with its last holder. The store inherits the descriptor and holds
the lock as long as it runs. A process id in a file must never decide: a number outlives its process, a lock
does not.
"""

import fcntl
import os
import time
from pathlib import Path

from image2model.up.errors import FolderInUse


class FolderLock:
    """`flock` on `path`; `fd` may be passed to a child, which then holds the lock as well."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def fd(self) -> int:
        """The descriptor that holds the lock. Raises RuntimeError when it is not held."""
        if self._fd is None:
            raise RuntimeError(f"{self.path} is not locked")
        return self._fd

    def acquire(self, *, patience: float = 0.0) -> None:
        """Take the lock, waiting at most `patience` seconds. Raises FolderInUse."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + patience
        while not _try_lock(fd):
            if time.monotonic() >= deadline:
                os.close(fd)
                raise FolderInUse(f"{self.path.parent} is in use by another process")
            time.sleep(0.02)
        self._fd = fd

    def release(self) -> None:
        """Release this process's hold; a child that inherited the descriptor keeps its own."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
