"""Tells when a file that appears in a folder is there whole.

Who calls it: the watcher. A file is whole when its size and time have not changed for a moment and its
structure is that of a complete picture. Methods block; call them in a thread.
"""

import time
from pathlib import Path
from typing import Final

import msgspec

from image2model.cli.submit.collect import is_picture
from image2model.errors import FileProblem
from image2model.media.sniff import inspect

STILL_SECONDS: Final = 1.0
GIVEN_UP_SECONDS: Final = 30.0
_MOST_BYTES: Final = 1 << 30


class _Seen(msgspec.Struct):
    size: int
    modified_ns: int
    since: float
    problem: str | None = None


class Wholeness:
    """What is known of files that are being looked at."""

    def __init__(self, *, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._seen: dict[Path, _Seen] = {}

    def look(self, path: Path) -> bool | None:
        """True: whole. False: look again soon. None: it is gone, no picture, or broken for good.

        A file that is broken for good is looked at afresh once it changes.
        """
        try:
            found = path.stat()
            if found.st_size > _MOST_BYTES:
                return None
            return self._judge(path, found.st_size, found.st_mtime_ns)
        except OSError:
            self._seen.pop(path, None)
            return None

    def problem(self, path: Path) -> str | None:
        """Why a file was given up, told once."""
        seen = self._seen.pop(path, None)
        return seen.problem if seen else None

    def _judge(self, path: Path, size: int, modified_ns: int) -> bool | None:
        now = time.monotonic()
        seen = self._seen.get(path)
        if seen is None or (seen.size, seen.modified_ns) != (size, modified_ns):
            self._seen[path] = _Seen(size, modified_ns, now)
            return False
        if now - seen.since < STILL_SECONDS:
            return False
        if self._is_complete(path, seen):
            del self._seen[path]
            return True
        return None if now - seen.since > GIVEN_UP_SECONDS or not is_picture(path) else False

    def _is_complete(self, path: Path, seen: _Seen) -> bool:
        if seen.problem is not None:
            return False
        try:
            inspect(path.read_bytes(), max_pixels=self._max_pixels)
        except FileProblem as problem:
            seen.problem = problem.detail
            return False
        return True
