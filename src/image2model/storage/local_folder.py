"""What a local folder needs beside obstore: it reads and writes small files, removes empty directories and
half-written files, and measures free disk space.

Every method blocks: call it in a thread. Removing an empty directory never harms a put in progress: the put's
own file keeps it from being empty, and a put that finds its directory gone makes it again (see
`directories`).
"""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Final

Buffer = bytes | bytearray | memoryview

# While `key` is written the bytes are in `key#1` (or #2 …) beside it, which a SIGKILL leaves there.
_STAGED = re.compile(r".+#\d+")
_TRIES: Final = 1000  # a try fails only if a removal comes between two system calls


class LocalFolder:
    """The root directory of a `file://` storage."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, key: str) -> bytes:
        """The whole object. Raises FileNotFoundError, also for a directory, and OSError."""
        descriptor = os.open(self.root / key, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _read_all(descriptor)
        except IsADirectoryError as error:
            raise FileNotFoundError(*error.args) from error
        finally:
            os.close(descriptor)

    def write(self, key: str, buffers: Iterable[Buffer]) -> None:
        """Put the object in place, whole or not at all. Raises OSError, and leaves no file then.

        The same steps as obstore's, without its threads' hand-overs, which cost more than a small file.
        """
        path = self.root / key
        staged, descriptor = _stage(path)
        try:
            try:
                for buffer in buffers:
                    _write_all(descriptor, buffer)
            finally:
                os.close(descriptor)
            staged.rename(path)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise

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


def _stage(path: Path) -> tuple[Path, int]:
    """A new file beside `path`, in a directory that exists, and its descriptor."""
    lost = 0
    for number in count(1):
        staged = path.with_name(f"{path.name}#{number}")
        while True:
            try:
                return staged, os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            except FileExistsError:
                break  # another write of this key, or one that was killed
            except FileNotFoundError:
                lost += 1
                if lost > _TRIES:
                    raise
                _make_directory(path.parent)
    raise AssertionError("unreachable: the loop has no end")


def _make_directory(directory: Path) -> None:
    """Make it, and those above. Another process may remove it at once, or make it first."""
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        directory.mkdir(parents=True)


def _write_all(descriptor: int, buffer: Buffer) -> None:
    rest = memoryview(buffer).cast("B")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _read_all(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    data = os.read(descriptor, size)
    if len(data) == size:
        return data
    parts = [data]  # a signal, or a file system that gives less at a time
    while part := os.read(descriptor, size):
        parts.append(part)
    return b"".join(parts)


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
