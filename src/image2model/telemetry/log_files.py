"""Log files: each process writes its own, as JSON, and renames it once it is large.

A file is `PROCESS-NUMBER.log`; older ones have `.1`, `.2` … behind that. The number is the first that no
living process holds, so a restart goes on with the file of the process before it, and the number of files
does not grow with restarts. The lock is the kernel's, and ends with its process.
"""

import fcntl
import logging
import os
import sys
import time
from contextlib import suppress
from io import TextIOWrapper
from itertools import count
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

import msgspec

from image2model.errors import ConfigurationError

_MODE: Final = 0o640
_REPORT_EVERY_S: Final = 60.0


class LogFiles(msgspec.Struct, frozen=True):
    """Where the files are, at how many bytes one is renamed, and how many of each process are kept (2 or
    more)."""

    folder: Path
    size: int
    kept: int


class LogFileHandler(RotatingFileHandler):
    """Writes to one file. A line that cannot be written is reported to standard error, at most once a minute:
    a full disk must not end the process, nor fill another log."""

    def __init__(self, path: Path, files: LogFiles, lock: int) -> None:
        super().__init__(path, maxBytes=files.size, backupCount=files.kept - 1, encoding="utf-8")
        self._lock_descriptor = lock
        self._reported_at = -_REPORT_EVERY_S

    def close(self) -> None:
        """Close the file, and give its number back."""
        with suppress(OSError):  # what could not be written was reported
            super().close()
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1

    def handleError(self, _record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Report what was raised."""
        if time.monotonic() - self._reported_at < _REPORT_EVERY_S:
            return
        self._reported_at = time.monotonic()
        sys.stderr.write(f"{self.baseFilename} cannot be written: {sys.exc_info()[1]!r}; lines are lost\n")

    def _open(self) -> TextIOWrapper:
        """Readable by the owner and the group only."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return os.fdopen(os.open(self.baseFilename, flags, _MODE), "a", encoding="utf-8")


def open_log_file(files: LogFiles, process: str) -> LogFileHandler:
    """The file of this process. Raises ConfigurationError where the folder cannot be written."""
    try:
        files.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        for number in count(1):
            lock = os.open(files.folder / f".{process}-{number}.lock", os.O_RDWR | os.O_CREAT, _MODE)
            if _held(lock):
                return LogFileHandler(files.folder / f"{process}-{number}.log", files, lock)
            os.close(lock)
    except OSError as error:
        raise ConfigurationError(
            [f"I2M_LOG_DIR: {files.folder} cannot be written: {error.strerror}"]
        ) from error
    raise AssertionError("there is no last number")


def _held(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
