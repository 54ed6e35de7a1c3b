"""The ledger of an output folder: which pictures were sent in which job, and which models were saved where.

A batch is written down before its upload, so that an interrupted run never pays twice. A quote reads a copy,
and changes neither the file nor its folder. Methods block: call them in a thread.
"""

import shutil
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

import msgspec

from image2model.cli.submit.item import text_of
from image2model.cli.submit.manifest import OwnData
from image2model.cli.submit.options import SharedOptions
from image2model.cli.submit.outputs import Claim, fold

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS batches (
    key TEXT PRIMARY KEY, server TEXT NOT NULL, model TEXT NOT NULL, params TEXT NOT NULL,
    begun REAL NOT NULL, job_id TEXT);
CREATE TABLE IF NOT EXISTS pictures (
    key TEXT NOT NULL REFERENCES batches ON DELETE CASCADE, position INTEGER NOT NULL,
    sha256 TEXT NOT NULL, filename TEXT NOT NULL, PRIMARY KEY (key, position));
CREATE INDEX IF NOT EXISTS pictures_by_hash ON pictures (sha256);
CREATE TABLE IF NOT EXISTS views (
    key TEXT NOT NULL REFERENCES batches ON DELETE CASCADE, sha256 TEXT NOT NULL, position INTEGER NOT NULL,
    filename TEXT NOT NULL, PRIMARY KEY (key, sha256, position));
CREATE TABLE IF NOT EXISTS own_data (
    key TEXT PRIMARY KEY REFERENCES batches ON DELETE CASCADE, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS places (
    folded TEXT PRIMARY KEY, stem TEXT NOT NULL, source TEXT NOT NULL, sha256 TEXT NOT NULL,
    made_of TEXT, model TEXT, params TEXT, file TEXT, size INTEGER);
"""


class Sent(msgspec.Struct, frozen=True):
    """A batch that holds a picture; `job_id` is None if its upload got no reply."""

    key: str
    job_id: str | None
    begun: float


class Ledger:
    """The ledger of one output folder. Use it in `with`."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.executescript(f"PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; {_SCHEMA}")

    @classmethod
    def read_copy(cls, path: Path) -> Self:
        """A copy in memory, empty where there is no ledger. Changes nothing on disk. Blocks."""
        ledger = cls(":memory:")
        if path.is_file():
            _read_into(ledger._database, path)
        return ledger

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:  # SQLite crashes if it is closed while a thread executes a statement
            self._database.close()

    def claims(self) -> dict[str, Claim]:
        """Every claimed output path by its folded stem."""
        rows = self._all("SELECT folded, stem, source, sha256 FROM places")
        return {row[0]: Claim(*row[1:]) for row in rows}

    def claim(self, claims: Iterable[tuple[str, Path, str]]) -> None:
        """Write down which picture each output path belongs to: (stem, path, sha256)."""
        with self._lock, self._database:
            self._database.execute("BEGIN")
            self._database.executemany(
                "INSERT INTO places (folded, stem, source, sha256) VALUES (?, ?, ?, ?) ON CONFLICT (folded)"
                " DO UPDATE SET source = excluded.source, sha256 = excluded.sha256",
                [(fold(stem), stem, text_of(path), sha256) for stem, path, sha256 in claims],
            )

    def saved(self, stem: str, sha256: str, options: SharedOptions) -> tuple[str, int] | None:
        """The file saved under a stem, and its size, if it is this picture's model with these options."""
        rows = self._all(
            "SELECT file, size FROM places WHERE folded = ? AND made_of = ? AND model = ? AND params = ?",
            (fold(stem), sha256, options.model, options.params),
        )
        return (rows[0][0], rows[0][1]) if rows and rows[0][0] else None

    def save(self, stem: str, sha256: str, options: SharedOptions, file: str, size: int) -> None:
        """Write down that the model of this picture was saved."""
        self._run(
            "UPDATE places SET made_of = ?, model = ?, params = ?, file = ?, size = ? WHERE folded = ?",
            (sha256, options.model, options.params, file, size, fold(stem)),
        )

    def begin(
        self,
        key: str,
        options: SharedOptions,
        pictures: Sequence[tuple[str, str]],
        own: OwnData | None = None,
        views: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Write down a batch of (sha256, filename) before its upload.

        `views`: the filenames of the pictures of its objects, by the object's sha256.
        """
        with self._lock, self._database:
            self._database.execute("BEGIN")
            self._database.execute(
                "INSERT INTO batches VALUES (?, ?, ?, ?, ?, NULL)",
                (key, options.server, options.model, options.params, time.time()),
            )
            self._database.executemany(
                "INSERT INTO pictures VALUES (?, ?, ?, ?)",
                [(key, position, *picture) for position, picture in enumerate(pictures)],
            )
            self._database.executemany(
                "INSERT INTO views VALUES (?, ?, ?, ?)",
                [
                    (key, sha256, position, filename)
                    for sha256, filenames in (views or {}).items()
                    for position, filename in enumerate(filenames)
                ],
            )
            if own:
                data = msgspec.json.encode(own).decode()
                self._database.execute("INSERT INTO own_data VALUES (?, ?)", (key, data))

    def accept(self, key: str, job_id: str) -> None:
        """The service has accepted the batch as this job."""
        self._run("UPDATE batches SET job_id = ? WHERE key = ?", (job_id, key))

    def drop(self, key: str) -> None:
        """The service refused the batch, or no longer knows its job."""
        self._run("DELETE FROM batches WHERE key = ?", (key,))

    def drop_picture(self, key: str, sha256: str) -> None:
        """Forget this picture of the batch: it will be sent again."""
        self._run("DELETE FROM pictures WHERE key = ? AND sha256 = ?", (key, sha256))

    def sent(self, sha256: str, options: SharedOptions) -> Sent | None:
        """The latest batch that holds the picture with these options."""
        rows = self._all(
            "SELECT key, job_id, begun FROM batches JOIN pictures USING (key)"
            " WHERE sha256 = ? AND server = ? AND model = ? AND params = ? ORDER BY begun DESC LIMIT 1",
            (sha256, *msgspec.structs.astuple(options)),
        )
        return Sent(*rows[0]) if rows else None

    def pictures(self, key: str) -> list[tuple[str, str]]:
        """The (sha256, filename) of a batch, in the order in which they were sent."""
        rows = self._all("SELECT sha256, filename FROM pictures WHERE key = ? ORDER BY position", (key,))
        return [(row[0], row[1]) for row in rows]

    def views(self, key: str) -> dict[str, list[str]]:
        """The filenames of the pictures of a batch's objects, by the object's sha256, as they were sent."""
        found: dict[str, list[str]] = {}
        rows = self._all("SELECT sha256, filename FROM views WHERE key = ? ORDER BY position", (key,))
        for sha256, filename in rows:
            found.setdefault(sha256, []).append(filename)
        return found

    def own_data(self, key: str) -> OwnData:
        """The caller's own data with which a batch was sent: the same key stands for the same data."""
        rows = self._all("SELECT data FROM own_data WHERE key = ?", (key,))
        return msgspec.json.decode(rows[0][0], type=OwnData) if rows else OwnData()

    def _run(self, statement: str, values: Iterable[object]) -> None:
        with self._lock:
            self._database.execute(statement, tuple(values))

    def _all(self, statement: str, values: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(statement, tuple(values)).fetchall()


def _read_into(database: sqlite3.Connection, path: Path) -> None:
    """Copy the file at `path` into `database`. Blocks. Raises OSError, sqlite3.Error."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
            file.backup(database)
    except sqlite3.OperationalError:
        _recover_copy(database, path)


def _recover_copy(database: sqlite3.Connection, path: Path) -> None:
    """Copy a file whose writer was killed in a change: the rollback writes, so it is done on a copy."""
    with TemporaryDirectory(prefix="image2model-") as folder:
        for name in (path.name, f"{path.name}-journal"):
            if path.with_name(name).is_file():
                shutil.copyfile(path.with_name(name), Path(folder) / name)
        with closing(sqlite3.connect(Path(folder) / path.name)) as file:
            file.backup(database)
