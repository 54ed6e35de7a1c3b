"""Keeps the directories of a put in place while deletes remove empty ones, in this process and in others.

obstore makes the directories level by level and gives up where one is removed again before the next is in it.
A second try may meet the same race, so it first pins each directory with a file of our own. These files have
the names that obstore uses for unfinished writes: it lists none of them, and the sweep removes what a killed
process leaves.
"""

import os
import re
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from obstore.exceptions import BaseError

from image2model.shielded import in_thread
from image2model.storage.local_folder import LocalFolder

# Rust's create_dir_all lost a race against the removal of the directory that it made (2), or found (17).
_DIRECTORY_REMOVED: Final = re.compile(r"Unable to create dir .*\(os error (2|17)\)")
_TRIES: Final = 1000  # a try fails only if a removal comes between two system calls


async def in_its_directory(
    folder: LocalFolder | None, key: str, put: Callable[[], Awaitable[object]]
) -> None:
    """Await a put of `key`; repeat it where it failed only because its directory was removed meanwhile."""
    try:
        await put()
    except BaseError as error:
        if folder is None or not _DIRECTORY_REMOVED.search(str(error)):
            raise
        await _put_pinned(folder, key, put)


async def _put_pinned(folder: LocalFolder, key: str, put: Callable[[], Awaitable[object]]) -> None:
    pinned = _PinnedDirectories(folder, key)
    try:
        await in_thread(pinned.make)
        await put()
    finally:
        await in_thread(pinned.release)


class _PinnedDirectories:
    """The directories of one key. Methods block, and raise OSError."""

    def __init__(self, folder: LocalFolder, key: str) -> None:
        self._folder = folder
        self._key = key
        name = f"held-{secrets.token_hex(8)}#0"
        above = (folder.root / key).relative_to(folder.root).parents
        self._files = [folder.root / directory / name for directory in reversed(above) if directory.name]

    def make(self) -> None:
        """Make them from the outermost on, each with a file in it, so that none is empty."""
        self._folder.root.mkdir(parents=True, exist_ok=True)
        for file in self._files:
            _pin(file)

    def release(self) -> None:
        """Remove the files, and the directories that are empty by now."""
        for file in self._files:
            file.unlink(missing_ok=True)
        self._folder.prune_above(self._key)


def _pin(file: Path) -> None:
    for last in reversed(range(_TRIES)):
        try:
            _make(file.parent)
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileNotFoundError:
            if not last:
                raise
        else:
            return


def _make(directory: Path) -> None:
    try:
        directory.mkdir()
    except FileExistsError:
        return  # also where it is a file: the next step reports that
