"""The CDN's files: uploaded pictures and made files, by path, on the disk, within a byte budget.

Used by the upload and file routes and by the model builder, all on the event loop. When the budget is short,
what has been used goes first, oldest first; then what has not.
"""

import time
from typing import Final, Self

import msgspec

from fal_emulator.access import PUBLIC, Acl, Lifecycle
from fal_emulator.disk import Disk, Row
from fal_emulator.faults import Fault


class About(msgspec.Struct):
    """A file without its bytes. `used_at` is when it last served its purpose (monotonic seconds), None while
    it still has to.

    `transfer` is the fault that its transfer meets. The bytes of a `shared` file belong to
    somebody else and do not count. `request_id` is the request that made it, empty for an upload. A
    `partner`'s file is not on the CDN: it is public, and no deletion reaches it. `expires_at` and
    `visible_at` are monotonic seconds. `size` in bytes is that of what `Files` holds.
    """

    content_type: str
    name: str
    used_at: float | None = None
    transfer: Fault | None = None
    shared: bool = False
    request_id: str = ""
    partner: bool = False
    acl: Acl = PUBLIC
    expires_at: float | None = None
    visible_at: float = 0.0
    size: int = 0

    @property
    def weight(self) -> int:
        """Bytes that count."""
        return 0 if self.shared else self.size


class StoredFile(About, kw_only=True):
    """A file with its bytes."""

    data: bytes | memoryview


_FIELDS: Final = About.__struct_fields__
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(About).decode


def uploaded(data: bytes, content_type: str, name: str, lifecycle: Lifecycle) -> StoredFile:
    """A file from a client."""
    expires_at = lifecycle.expires_at()
    return StoredFile(content_type, name, acl=lifecycle.acl, expires_at=expires_at, data=data)


class Files:
    """Files by path. `budget` in bytes, `ttl` in seconds after a file was used."""

    def __init__(self, disk: Disk, budget: int, ttl: float) -> None:
        self._disk = disk
        self._budget = budget
        self._ttl = ttl
        self._bytes = 0
        self._shared: dict[str, bytes | memoryview] = {}

    def put(self, path: str, file: StoredFile) -> None:
        """Store, and make room for it; a file of the same path is replaced."""
        self.remove(path)
        file.size = len(file.data)
        about = About(*(getattr(file, name) for name in _FIELDS))
        if file.shared:
            self._shared[path] = file.data
        self._bytes += file.weight
        self._disk.run(
            "INSERT INTO file (path, used_at, weight, about, data) VALUES (?, ?, ?, ?, ?)",
            *(path, file.used_at, file.weight, _encode(about), None if file.shared else file.data),
        )
        self._make_room(path)

    def get(self, path: str) -> StoredFile | None:
        """The file, or None when it never was there or is gone."""
        row = self._disk.row("SELECT path, used_at, about, data FROM file WHERE path = ?", path)
        about = None if row is None else self._present(row)
        if row is None or about is None:
            return None
        data = self._shared[path] if about.shared else row[3]
        assert isinstance(data, bytes | memoryview)  # noqa: S101 - as `put` has written it
        return StoredFile(*(getattr(about, name) for name in _FIELDS), data=data)

    def held(self) -> dict[str, About]:
        """Every file that is still there, by path."""
        rows = self._disk.rows("SELECT path, used_at, about FROM file ORDER BY used_at IS NOT NULL, number")
        return {str(row[0]): about for row in rows if (about := self._present(row)) is not None}

    def mark_used(self, path: str) -> None:
        """It has served its purpose: from now on it may go."""
        self._disk.run("UPDATE file SET used_at = ? WHERE path = ?", time.monotonic(), path)

    def change(self, path: str, about: About) -> None:
        """Its access list or its visibility is another one."""
        changed = About(*(getattr(about, name) for name in _FIELDS))
        self._disk.run("UPDATE file SET about = ? WHERE path = ?", _encode(changed), path)

    def remove(self, path: str) -> None:
        """Forget the file, if it is there."""
        row = self._disk.row("DELETE FROM file WHERE path = ? RETURNING weight", path)
        if row is not None:
            self._shared.pop(path, None)
            self._bytes -= int(row[0] or 0)

    def _present(self, row: Row) -> About | None:
        """What a row says, unless it has expired by now: then it is removed."""
        path, used_at, about = row[:3]
        assert isinstance(about, bytes)  # noqa: S101 - as `put` has written it
        found = _decode(about)
        found.used_at = used_at if isinstance(used_at, float) else None
        if found.expires_at is None or time.monotonic() < found.expires_at:
            return found
        self.remove(str(path))
        return None

    def _make_room(self, newest: str) -> None:
        expired = time.monotonic() - self._ttl
        while (used := self._disk.row(_OLDEST_USED)) is not None:
            path, used_at = used
            if self._bytes <= self._budget and isinstance(used_at, float) and used_at > expired:
                return
            self.remove(str(path))
        while self._bytes > self._budget and (fresh := self._disk.row(_OLDEST_FRESH)) is not None:
            if fresh[0] == newest:
                return
            self.remove(str(fresh[0]))


_OLDEST_USED: Final = "SELECT path, used_at FROM file WHERE used_at IS NOT NULL ORDER BY used_at LIMIT 1"
_OLDEST_FRESH: Final = "SELECT path FROM file WHERE used_at IS NULL ORDER BY number LIMIT 1"


class Multipart(msgspec.Struct):
    """An upload in parts, by number, until it is completed."""

    path: str
    content_type: str
    name: str
    parts: dict[int, bytes]
    lifecycle: Lifecycle

    @classmethod
    def start(cls, path: str, content_type: str, name: str, lifecycle: Lifecycle) -> Self:
        """Without any part yet."""
        return cls(path, content_type, name, {}, lifecycle)

    def whole(self) -> StoredFile:
        """The parts joined in the order of their numbers."""
        data = b"".join(self.parts[number] for number in sorted(self.parts))
        return uploaded(data, self.content_type, self.name, self.lifecycle)
