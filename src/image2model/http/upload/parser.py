"""The push parser of multipart/form-data, with types, and with our own errors.

Who calls it: the form reader. It is the only module that knows the `multipart` library (RFC 7578).
"""

import asyncio
from collections.abc import Callable, Iterator
from time import monotonic

import msgspec
from multipart import (  # type: ignore[import-untyped]  # a single module without a type marker
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from image2model.errors import BodyTooLarge, InvalidMultipart, UnsupportedMediaType, UploadTooSlow
from image2model.http.upload.received import UploadLimits


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


def body_too_large(limits: UploadLimits) -> BodyTooLarge:
    """The refusal of a body over the limit."""
    return BodyTooLarge(
        f"The request body is larger than {limits.max_body_bytes} bytes. Send fewer or smaller files at once."
    )


class PacedBody:
    """One request's body. `read` gives chunks in order, then `b""`.

    `crowded` tells whether others wait for memory.
    """

    def __init__(
        self, receive: Receive, limits: UploadLimits, crowded: Callable[[], bool] = lambda: False
    ) -> None:
        self._crowded = crowded
        self._receive = receive
        self._limits = limits
        self._received = 0
        self._more = True
        self._window_bytes = 0
        self._window_time = 0.0
        self._waited = 0.0

    async def read(self) -> bytes:
        """The next bytes, as many as the server has; empty at the end of the body.

        Raises `UploadTooSlow`, `BodyTooLarge`, or `ClientDisconnect` when the sender is gone.
        """
        while self._more:
            if chunk := await self._next():
                return chunk
        return b""

    async def _next(self) -> bytes:
        started = monotonic()
        try:
            async with asyncio.timeout(self._limits.rate_window - self._window_time):
                message = await self._receive()
        except TimeoutError:
            raise self._too_slow() from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        self._more = message.get("more_body", False)
        self._count(len(chunk), monotonic() - started)
        return chunk

    def _count(self, size: int, waited: float) -> None:
        self._received += size
        if self._received > self._limits.max_body_bytes:
            raise body_too_large(self._limits)
        self._waited += waited
        if self._more and self._waited > self._time_allowed():
            raise self._too_slow()
        self._window_bytes += size
        self._window_time += waited
        if self._window_bytes >= self._limits.min_rate * self._limits.rate_window:
            self._window_bytes, self._window_time = 0, 0.0
        elif self._more and self._window_time >= self._limits.rate_window:
            raise self._too_slow()

    def _time_allowed(self) -> float:
        """Seconds that may have been waited for what has come so far."""
        limits = self._limits
        if not self._crowded():
            return limits.max_seconds
        return min(limits.max_seconds, limits.crowded_grace + self._received / limits.crowded_rate)

    def _too_slow(self) -> UploadTooSlow:
        return UploadTooSlow(
            f"The upload came slower than {self._limits.min_rate} bytes a second for "
            f"{self._limits.rate_window:g} s, or held up others, or took {self._limits.max_seconds:g} s. "
            "Send it again over a faster connection, or in smaller batches.",
            headers={"Connection": "close"},
        )
