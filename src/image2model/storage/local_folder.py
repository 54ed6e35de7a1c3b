"""What a local folder needs beside obstore: it removes empty directories and half-written files, and measures
free disk space.

Every method blocks: call it in a thread. Removing an empty directory never harms a put in progress: the put's
own file keeps it from being empty, and a put that finds its directory gone makes it again (see
`directories`).
"""

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

# While obstore writes `key` the bytes are in `key#1` (or #2 …) beside it, which a SIGKILL leaves there.
_STAGED = re.compile(r".+#\d+")


class LocalFolder:
    """The root directory of a `file://` storage."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def free_bytes(self) -> int:
        """Bytes that this process may still write to the disk."""
        return shutil.disk_usage(self.root).free

    def prune_above(self, key: str) -> None:
        """Remove the directories that `key` would be in, from the innermost on, as long as they are empty."""
        for directory in (self.root / key).parents:
            if directory == self.root or not _remove_empty(directory):
                return

    def prune_below(self, prefix: str) -> None:
        """Remove every empty directory below and above `prefix`."""
        for directory, _, _ in os.walk(self.root / prefix, topdown=False):
            _remove_empty(Path(directory))
        self.prune_above(f"{prefix}/-")

    def remove_staged(self, older_than_s: float) -> int:
        """Remove half-written files of killed processes that are at least this old. Returns how many."""
        removed = 0
        for directory, _, names in os.walk(self.root, topdown=False):
            for name in filter(_STAGED.fullmatch, names):
                removed += _remove_old(Path(directory, name), older_than_s)
            if Path(directory) != self.root:
                _remove_empty(Path(directory))
        return removed


def _remove_empty(directory: Path) -> bool:
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True  # another process was first
    except OSError:
        return False  # not empty: in use
    return True


def _remove_old(path: Path, older_than_s: float) -> bool:
    with contextlib.suppress(FileNotFoundError):
        if time.time() - path.stat().st_mtime >= older_than_s:
            path.unlink()
            return True
    return False
