"""The directories of a put, although deletes remove what is empty, in this process and in others.

Only `objects` and `streamed_put` use it. obstore makes the directories level by level and gives up where one
is gone again before the next is in it. A second try may meet the same, so it has them held: each with a file
of our own in it. The names are those that obstore keeps for unfinished writes: it lists none of them, and
the sweep takes what a killed process leaves.
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
_GONE: Final = re.compile(r"Unable to create dir .*\(os error (2|17)\)")
_TRIES: Final = 1000  # each is lost only to a removal between two system calls


async def in_its_directory(
    folder: LocalFolder | None, key: str, put: Callable[[], Awaitable[object]]
) -> None:
    """Await a put of `key`, again where all that failed was its directory, removed while it was made."""
    try:
        await put()
    except BaseError as error:
        if folder is None or not _GONE.search(str(error)):
            raise
        await _held(folder, key, put)


async def _held(folder: LocalFolder, key: str, put: Callable[[], Awaitable[object]]) -> None:
    held = _Held(folder, key)
    try:
        await in_thread(held.make)
        await put()
    finally:
        await in_thread(held.release)


class _Held:
    """The directories of one key. Methods block, and raise OSError."""

    def __init__(self, folder: LocalFolder, key: str) -> None:
        self._folder = folder
        self._key = key
        name = f"held-{secrets.token_hex(8)}#0"
        above = (folder.root / key).relative_to(folder.root).parents
        self._files = [folder.root / directory / name for directory in reversed(above) if directory.name]

    def make(self) -> None:
        """Make them, from the outermost on: none of them is empty any more."""
        self._folder.root.mkdir(parents=True, exist_ok=True)
        for file in self._files:
            _hold(file)

    def release(self) -> None:
        """Take the files away, and the directories where they are empty by now."""
        for file in self._files:
            file.unlink(missing_ok=True)
        self._folder.prune_above(self._key)


def _hold(file: Path) -> None:
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
        return  # also where a file is there, which what follows says
