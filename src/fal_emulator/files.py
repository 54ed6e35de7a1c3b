"""The CDN's memory: uploaded pictures and made files, by path, within a byte budget.

Used by the upload and file routes and by the model builder, all on the event loop. Nothing is written to
disk. When the budget is short, what has been used goes first, oldest first; then what has not.
"""

import time
from collections import OrderedDict
from typing import Self

import msgspec

from fal_emulator.access import PUBLIC, Acl, Lifecycle
from fal_emulator.faults import Fault


class StoredFile(msgspec.Struct):
    """`used_at` is when it last served its purpose (monotonic seconds), None while it still has to.

    `transfer` is the fault that its transfer meets. The bytes of a `shared` file belong to
    somebody else and do not count. `request_id` is the request that made it, empty for an upload. A
    `partner`'s file is not on the CDN: it is public, and no deletion reaches it. `expires_at` and
    `visible_at` are monotonic seconds.
    """

    data: bytes | memoryview
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

    @property
    def weight(self) -> int:
        """Bytes that count."""
        return 0 if self.shared else len(self.data)


def uploaded(data: bytes, content_type: str, name: str, lifecycle: Lifecycle) -> StoredFile:
    """A file from a client."""
    return StoredFile(data, content_type, name, acl=lifecycle.acl, expires_at=lifecycle.expires_at())


class Files:
    """Files by path. `budget` in bytes, `ttl` in seconds after a file was used."""

    def __init__(self, budget: int, ttl: float) -> None:
        self._budget = budget
        self._ttl = ttl
        self._bytes = 0
        self._fresh: OrderedDict[str, StoredFile] = OrderedDict()
        self._used: OrderedDict[str, StoredFile] = OrderedDict()

    def put(self, path: str, file: StoredFile) -> None:
        """Store, and make room for it; a file of the same path is replaced."""
        self.remove(path)
        self._bytes += file.weight
        (self._fresh if file.used_at is None else self._used)[path] = file
        self._make_room(path)

    def get(self, path: str) -> StoredFile | None:
        """The file, or None when it never was there or is gone."""
        file = self._fresh.get(path) or self._used.get(path)
        if file is None or file.expires_at is None or time.monotonic() < file.expires_at:
            return file
        self.remove(path)
        return None

    def held(self) -> dict[str, StoredFile]:
        """Every file that is still there, by path."""
        paths = [*self._fresh, *self._used]
        return {path: file for path in paths if (file := self.get(path)) is not None}

    def mark_used(self, path: str) -> None:
        """It has served its purpose: from now on it may go."""
        file = self._fresh.pop(path, None) or self._used.pop(path, None)
        if file is not None:
            file.used_at = time.monotonic()
            self._used[path] = file

    def remove(self, path: str) -> None:
        """Forget the file, if it is there."""
        file = self._fresh.pop(path, None) or self._used.pop(path, None)
        if file is not None:
            self._bytes -= file.weight

    def _make_room(self, newest: str) -> None:
        expired = time.monotonic() - self._ttl
        while self._used:
            path, file = next(iter(self._used.items()))
            if self._bytes <= self._budget and (file.used_at or 0.0) > expired:
                return
            self._drop_oldest(self._used, path)
        while self._bytes > self._budget and self._fresh:
            path = next(iter(self._fresh))
            if path == newest:
                return
            self._drop_oldest(self._fresh, path)

    def _drop_oldest(self, files: OrderedDict[str, StoredFile], path: str) -> None:
        self._bytes -= files.pop(path).weight


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
