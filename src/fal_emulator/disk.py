"""What the emulator keeps on the disk: a database without a name, which goes with the process in any case.

SQLite makes it in the folder for temporary files and unlinks it at once, holds the pages that were used last
in memory, and uses the place of what was removed again. One call takes some ten microseconds of the loop.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_CACHE_KIB = 2048
_PAGE_BYTES = 16 << 10
_SCHEMA = """
CREATE TABLE file (
    number INTEGER PRIMARY KEY, path TEXT UNIQUE, used_at REAL, weight INTEGER, about BLOB, data BLOB
);
CREATE INDEX fresh ON file (number) WHERE used_at IS NULL;
CREATE INDEX used ON file (used_at) WHERE used_at IS NOT NULL;
CREATE TABLE origin (number INTEGER PRIMARY KEY, digest BLOB UNIQUE, request_id TEXT);
CREATE TABLE ended (number INTEGER PRIMARY KEY, record BLOB);
"""

Value = str | bytes | memoryview | int | float | None
Row = tuple[Value, ...]


class Disk:
    """The tables `file`, `origin` and `ended`. Each belongs to one module, which writes its SQL.

    The database is opened with the first statement: the start does not wait for SQLite.
    """

    def __init__(self) -> None:
        self._opened: sqlite3.Connection | None = None

    def run(self, statement: str, *values: Value) -> int:
        """Change something. Returns the number of the last row that was inserted."""
        return self._database().execute(statement, values).lastrowid or 0

    def row(self, statement: str, *values: Value) -> Row | None:
        """The first row found, None where there is none."""
        found: Row | None = self._database().execute(statement, values).fetchone()
        return found

    def rows(self, statement: str, values: Sequence[Value] = ()) -> Iterator[Row]:
        """Every row found."""
        yield from self._database().execute(statement, values).fetchall()

    def close(self) -> None:
        """Give its place back."""
        if self._opened is not None:
            self._opened.close()

    def _database(self) -> "sqlite3.Connection":
        if self._opened is None:
            self._opened = _open()
        return self._opened


def _open() -> "sqlite3.Connection":
    import sqlite3

    database = sqlite3.connect("", isolation_level=None)
    for setting in (
        f"page_size = {_PAGE_BYTES}",
        f"cache_size = -{_CACHE_KIB}",
        "journal_mode = OFF",
        "synchronous = OFF",
    ):
        database.execute(f"PRAGMA {setting}")
    database.executescript(_SCHEMA)
    return database
