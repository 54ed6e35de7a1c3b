"""Reads an SQLite file as it stands, and changes nothing about it: neither the file nor its folder.

Who calls it: the ledger, for a quote.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory


def read_into(database: sqlite3.Connection, path: Path) -> None:
    """Replace `database` by what `path` holds. Blocks. Raises OSError, sqlite3.Error."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
            file.backup(database)
    except sqlite3.OperationalError:
        _mend_aside(database, path)


def _mend_aside(database: sqlite3.Connection, path: Path) -> None:
    """Who wrote it was killed amid a change. Taking that back writes, so it is done to a copy."""
    with TemporaryDirectory(prefix="image2model-") as folder:
        for name in (path.name, f"{path.name}-journal"):
            if path.with_name(name).is_file():
                shutil.copyfile(path.with_name(name), Path(folder) / name)
        with closing(sqlite3.connect(Path(folder) / path.name)) as file:
            file.backup(database)
