"""The multipart/form-data format (RFC 7578): the boundary, the parser, and one part while it arrives.

This is the only module that knows the `multipart` library. A part takes its payload chunk by chunk and holds
no more of it than its limit allows: what is known to be useless is counted and dropped.
"""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

import msgspec
from multipart import (  # type: ignore[import-untyped]  # a single module without a type marker
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
)

from image2model.errors import FileProblem, FileTooLarge, InvalidMultipart
from image2model.http.upload.charset import codec_of_part, text_of
from image2model.http.upload.limits import UploadLimits
from image2model.http.upload.names import names_of, parameters
from image2model.http.upload.transfer_encoding import Decoder, decoder_of
from image2model.media.heads import HEAD_BYTES, may_be_picture


class Picture(Protocol):
    """The result of an inspection: the format by content, the size in pixels, and how many
    pictures the file holds."""

    @property
    def format(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def frames(self) -> int: ...


Inspect = Callable[[bytes], Picture]
"""Checks a whole file's structure, in a thread. Raises a `FileProblem` where it is not a good picture.

It also gets, on the event loop, the beginning of a file that carries no picture's signature."""


class Place(msgspec.Struct, frozen=True):
    """Where the form puts a file. `object`: the object whose view it is, by name; empty for a part `files`.
    `side`: the named side that it shows, or empty.
    """

    object: str = ""
    side: str = ""


FILE: Final = Place()


class PartStart(msgspec.Struct, frozen=True):
    """A part's own name, and its file's; None where it has no file. `codec`: that of its text."""

    name: str
    filename: str | None
    codec: str = "utf-8"


Event = PartStart | bytes | None
"""A part begins, a piece of its payload, or (None) its end."""


class FormParser:
    """One body's parser. Both methods raise `InvalidMultipart`.

    `charset`: the codec of names and texts that are not UTF-8, from where it is set.
    """

    def __init__(self, boundary: bytes, limits: UploadLimits) -> None:
        self.charset = "utf-8"
        self._decoder: Decoder | None = None
        # Not the library's strict mode: that refuses a body whose last CRLF comes in a chunk of its own.
        # Header bytes are read as Latin-1, which keeps them all; names are decoded afterwards.
        self._parser = PushMultipartParser(
            boundary,
            max_header_size=limits.max_header_bytes,
            max_header_count=limits.max_headers,
            max_segment_count=limits.max_parts,
            header_charset="latin-1",
        )

    def events(self, chunk: bytes) -> Iterator[Event]:
        """What these bytes, not empty, complete. Exhaust it before the next chunk."""
        try:
            for event in self._parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    yield self._start(event)
                elif self._decoder is None:
                    yield event
                elif payload := self._decoder.end() if event is None else self._decoder.feed(event):
                    yield payload
                if event is None and self._decoder is not None:
                    yield None
        except MultipartError as error:
            raise self._refusal(error) from error

    def _start(self, segment: MultipartSegment) -> PartStart:
        self._decoder = decoder_of(segment.header("Content-Transfer-Encoding") or "")
        charset = dict(parameters(segment.header("Content-Type") or "")).get("charset", "")
        return PartStart(
            *names_of(segment.header("Content-Disposition"), self.charset),
            codec_of_part(charset, self.charset),
        )

    def close(self) -> None:
        """The body has ended. Raises where its closing boundary is missing."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: MultipartError) -> InvalidMultipart:
        # The parser keeps its error, whose traceback refers to the parser, and since Python 3.12 to all that
        # called it: a cycle, which would hold the upload's bytes until the garbage collector runs.
        self._parser.error = None
        return InvalidMultipart(f"The body is not valid multipart/form-data: {error.args[0]}.")


class Part(Protocol):
    """One part that takes its payload."""

    def feed(self, chunk: bytes) -> None: ...


class IgnoredPart:
    """A part that is already refused: its payload is dropped."""

    def feed(self, chunk: bytes) -> None:
        """Drop the chunk."""


class FieldPart:
    """A small text value."""

    def __init__(self, name: str, max_bytes: int, codec: str = "utf-8") -> None:
        self.name = name
        self.codec = codec
        self.too_long = False
        self.max_bytes = max_bytes
        self._value = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Add to the value, up to its limit."""
        self.too_long = self.too_long or len(self._value) + len(chunk) > self.max_bytes
        if not self.too_long:
            self._value += chunk

    @property
    def raw(self) -> bytes:
        """The value's bytes; where it is too long, its beginning."""
        return bytes(self._value)

    def text(self) -> str:
        """The value. Raises `UnicodeDecodeError` where it is neither UTF-8 nor in its charset."""
        return text_of(self.raw, self.codec)


_SMALL_CHUNK: Final = 16 << 10
_GATHERED: Final = 64 << 10
"""Small chunks are gathered up to this size: kept one by one they would cost many times their bytes."""


class FilePart:
    """One file: its chunks as they came, and the first problem found in it.

    `held` is how many of its bytes the upload's reservation counts.
    """

    def __init__(
        self, index: int, filename: str, max_bytes: int, inspect: Inspect, place: Place = FILE
    ) -> None:
        self.index = index
        self.place = place
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
        began_short = self.size < HEAD_BYTES
        self.size += len(chunk)
        if self.size > self._max_bytes:
            self._refuse(
                FileTooLarge(f"The file is larger than {self._max_bytes} bytes. Send a smaller one.")
            )
        elif self.problem is None:
            self._keep(chunk)
            if began_short and self.size >= HEAD_BYTES:
                self._check_head()

    def take(self) -> bytes:
        """The whole file in one piece; the part keeps nothing of it. Runs in a thread."""
        data = b"".join(self._chunks)
        self._chunks.clear()
        return data

    def _keep(self, chunk: bytes) -> None:
        last = self._chunks[-1] if self._chunks else None
        if isinstance(last, bytearray) and len(last) < _GATHERED:
            last += chunk
        else:
            self._chunks.append(bytearray(chunk) if len(chunk) < _SMALL_CHUNK else chunk)

    def _check_head(self) -> None:
        """Refuse early what cannot be a picture. The inspection names the problem, and is quick about it."""
        begin = b"".join(self._chunks)
        if may_be_picture(begin[:HEAD_BYTES]):
            return
        try:
            self._inspect(begin)
        except FileProblem as problem:
            self._refuse(problem)

    def _refuse(self, problem: FileProblem) -> None:
        self.problem = problem
        self._chunks.clear()
