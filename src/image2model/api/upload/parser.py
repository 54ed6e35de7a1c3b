"""The push parser of multipart/form-data, with types, and with our own errors.

Who calls it: the form reader. It is the only module that knows the `multipart` library (RFC 7578).
"""

from collections.abc import Iterator

import msgspec
from multipart import (  # type: ignore[import-untyped]  # a single module without a type marker
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from image2model.api.upload.limits import UploadLimits
from image2model.errors import InvalidMultipart, UnsupportedMediaType


class PartStart(msgspec.Struct, frozen=True):
    """A part's own headers. `filename` and `disposition` hold the header's bytes as Latin-1."""

    name: str
    filename: str | None
    disposition: str


Event = PartStart | bytes | None
"""A part begins, a piece of its payload, or (None) its end."""


def boundary_of(content_type: str, max_bytes: int) -> bytes:
    """The boundary in a Content-Type header. Raises `UnsupportedMediaType`, `InvalidMultipart`."""
    media_type, options = parse_options_header(content_type)
    if media_type != "multipart/form-data":
        raise UnsupportedMediaType("Send the pictures as multipart/form-data, in parts named `files`.")
    boundary: bytes = options.get("boundary", "").encode("latin-1")
    if not 0 < len(boundary) <= max_bytes or b"\n" in boundary:
        raise InvalidMultipart("The Content-Type header names no usable boundary.")
    return boundary


class FormParser:
    """One body's parser. Both methods raise `InvalidMultipart`."""

    def __init__(self, boundary: bytes, limits: UploadLimits) -> None:
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
        """What these bytes, not empty, complete. To be used up before the next chunk."""
        try:
            for event in self._parser.parse(chunk):
                yield _start(event) if isinstance(event, MultipartSegment) else event
        except MultipartError as error:
            raise _invalid(error) from error

    def close(self) -> None:
        """The body has ended: it must have come to its closing boundary."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise _invalid(error) from error


def _start(segment: MultipartSegment) -> PartStart:
    return PartStart(
        name=segment.name.encode("latin-1").decode("utf-8", "replace"),
        filename=segment.filename,
        disposition=segment.header("Content-Disposition"),
    )


def _invalid(error: MultipartError) -> InvalidMultipart:
    return InvalidMultipart(f"The body is not valid multipart/form-data: {error.args[0]}.")
