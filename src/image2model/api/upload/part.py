"""One part of the form while it arrives. Who calls it: the form reader.

A part takes its payload chunk by chunk and holds no more of it than its limit allows: what is known to
be useless is counted and dropped.
"""

from typing import Final, Protocol

from image2model.api.upload.received import Inspect
from image2model.errors import FileProblem, FileTooLarge

_HEAD: Final = 12
"""Bytes that tell PNG, JPEG and WebP from everything else."""

_SMALL: Final = 16 << 10
_GATHERED: Final = 64 << 10
"""Small chunks are gathered up to this size: kept one by one they would cost many times their bytes."""


class Part(Protocol):
    """What the form reader needs of a part: somewhere to put its payload."""

    def feed(self, chunk: bytes) -> None: ...


class IgnoredPart:
    """A part that is already refused: its payload is dropped."""

    def feed(self, chunk: bytes) -> None:
        """Drop the chunk."""


class FieldPart:
    """A small text value."""

    def __init__(self, name: str, max_bytes: int) -> None:
        self.name = name
        self.too_long = False
        self._max_bytes = max_bytes
        self._value = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Add to the value, up to its limit."""
        self.too_long = self.too_long or len(self._value) + len(chunk) > self._max_bytes
        if not self.too_long:
            self._value += chunk

    def text(self) -> str:
        """The value; raises `UnicodeDecodeError` where it is not UTF-8."""
        return self._value.decode()


class FilePart:
    """One file: its chunks as they came, and what is known to be wrong with it so far.

    `held` is how many of its bytes the upload's reservation counts.
    """

    def __init__(self, index: int, filename: str, max_bytes: int, inspect: Inspect) -> None:
        self.index = index
        self.filename = filename
        self.size = 0
        self.held = 0
        self.problem: FileProblem | None = None
        self._max_bytes = max_bytes
        self._inspect = inspect
        self._chunks: list[bytes | bytearray] = []

    @property
    def kept(self) -> int:
        """Bytes that are in memory for this file."""
        return self.size if self.problem is None else 0

    def feed(self, chunk: bytes) -> None:
        """Keep the chunk, unless the file is refused by now."""
        began_short = self.size < _HEAD
        self.size += len(chunk)
        if self.size > self._max_bytes:
            self._refuse(
                FileTooLarge(f"The file is larger than {self._max_bytes} bytes. Send a smaller one.")
            )
        elif self.problem is None:
            self._keep(chunk)
            if began_short and self.size >= _HEAD:
                self._check_head()

    def take(self) -> bytes:
        """The whole file in one piece, which the part itself lets go of. Runs in a thread."""
        data = b"".join(self._chunks)
        self._chunks.clear()
        return data

    def _keep(self, chunk: bytes) -> None:
        last = self._chunks[-1] if self._chunks else None
        if isinstance(last, bytearray) and len(last) < _GATHERED:
            last += chunk
        else:
            self._chunks.append(bytearray(chunk) if len(chunk) < _SMALL else chunk)

    def _check_head(self) -> None:
        """Refuse early what cannot be a picture, in the words of the inspection, which is quick about it."""
        begin = b"".join(self._chunks)
        if is_picture_head(begin[:_HEAD]):
            return
        try:
            self._inspect(begin)
        except FileProblem as problem:
            self._refuse(problem)

    def _refuse(self, problem: FileProblem) -> None:
        self.problem = problem
        self._chunks.clear()


def is_picture_head(head: bytes) -> bool:
    """Whether the first 12 bytes may begin a PNG, JPEG or WebP file (the formats' own signatures)."""
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (
        head[:4] == b"RIFF" and head[8:] == b"WEBP"
    )
