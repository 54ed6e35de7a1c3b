"""Writes a ZIP archive as a stream of pieces. It keeps none of them, and needs no file's size beforehand.

Entries are stored, not deflated, because models are mostly compressed textures. Sizes and checksums follow
each entry's data (APPNOTE.TXT 4.3.9), and ZIP64 is used where needed. Methods compute checksums: run them in
a thread when the piece is large.
"""

import zipfile
from datetime import UTC, datetime
from typing import IO, Final, Self

_MODE: Final = 0o644 << 16
_EARLIEST: Final = 1980


class _Sink:
    """The file that zipfile writes to, which cannot seek. `drain` returns what was written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep the bytes until the next drain."""
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered below."""

    def close(self) -> None:
        """Nothing is open below."""

    def drain(self) -> bytes:
        """All that was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class ZipStream:
    """Call `begin` and `feed` for each entry, then `finish`; each call returns the archive's next bytes.

    A context manager: on leaving it, an archive that is not finished is given up.
    """

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_STORED)
        self._entry: IO[bytes] | None = None

    def begin(self, name: str, modified_ms: int, size: int | None) -> bytes:
        """End the entry before, and begin the next one. `size` in bytes, if known."""
        self._end()
        moment = datetime.fromtimestamp(modified_ms / 1000, UTC)
        entry = zipfile.ZipInfo(name, (max(moment.year, _EARLIEST), *moment.timetuple()[1:6]))
        entry.external_attr = _MODE
        entry.file_size = size or 0
        self._entry = self._zip.open(entry, "w", force_zip64=size is None)
        return self._sink.drain()

    def feed(self, data: bytes) -> bytes:
        """More of the entry that was begun."""
        if self._entry is None:
            raise RuntimeError("no entry was begun")
        self._entry.write(data)
        return self._sink.drain()

    def finish(self) -> bytes:
        """The directory that closes the archive. Without it a reader sees that the archive is incomplete."""
        self._end()
        self._zip.close()
        return self._sink.drain()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        # zipfile's finalizer fails where an entry is still open, and the garbage collector may call it first.
        self._end()
        self._zip.close()

    def _end(self) -> None:
        if self._entry is not None:
            self._entry.close()
            self._entry = None
