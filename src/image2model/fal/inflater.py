"""Unpacks the body of a reply that is compressed, piece by piece and never much at once."""

import zlib
from typing import Final

_MOST_INFLATED: Final = 1 << 20
"""A small part may stand for a thousand times as much."""
CODINGS: Final = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""Content-Encoding, and zlib's name of it."""


class Inflater:
    """A body that was packed, at most _MOST_INFLATED bytes a call. `rest` is repeated until it is empty."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream = zlib.decompressobj(CODINGS[coding])
        self._has_begun = False

    def inflate(self, data: bytes) -> bytes:
        """Raises ConnectionError for what is not packed so."""
        if not self._has_begun and data:
            self._has_begun = True
            if self._coding == "deflate" and data[0] & 0xF != zlib.DEFLATED:
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)  # some leave the header out
        try:
            return self._stream.decompress(self._stream.unconsumed_tail + data, _MOST_INFLATED)
        except zlib.error as error:
            raise ConnectionError(f"the reply is not {self._coding}: {error}") from error

    def rest(self) -> bytes:
        """The same, at the end."""
        found = self.inflate(b"")
        if not found and self._has_begun and not self._stream.eof:
            raise ConnectionError(f"the reply is cut off: its {self._coding} has no end")
        return found
