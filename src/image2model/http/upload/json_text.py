"""A large JSON text while it arrives: long strings are set aside, so that what is left is small.

A picture in base64 may have 60 MB. Decoding such a text in one call would stop the event loop for a third of
a second, and hold it twice. So the pieces of a long string are kept as they came, and `placeholder` stands
for it in the text. Nothing here knows what the text says.
"""

import secrets
from typing import Final

from image2model.errors import InvalidParameter

LONG: Final = 16 << 10
"""Bytes of a string from which on it is set aside."""
MOST_TEXT: Final = 4 << 20
"""The most bytes of the text without long strings."""
_QUOTE: Final = b'"'
_BACKSLASH: Final = ord("\\")

Pieces = list[bytes]
"""A long string as it stands in the text, without its quotes and with its escapes."""


class JsonText:
    """One text. `feed` it to its end; then `text` is JSON, and `take` returns what its placeholders mean."""

    def __init__(self) -> None:
        self.text = bytearray()
        self._mark = secrets.token_hex(16)
        self._long: dict[str, Pieces] = {}
        self._count = 0
        self._pieces: Pieces | None = None
        self._length = 0
        self._escaped = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Raises InvalidParameter where the text without long strings is too large."""
        at = 0
        while at < len(chunk):
            at = self._outside(chunk, at) if self._pieces is None else self._inside(chunk, at)
        if len(self.text) > MOST_TEXT:
            raise InvalidParameter(
                f"The JSON has more than {MOST_TEXT} bytes beside its pictures. Send fewer at once."
            )

    def take(self, value: str) -> Pieces | None:
        """The long string that the value stands for, once; None where it stands for itself."""
        return self._long.pop(value, None)

    @property
    def left(self) -> int:
        """How many long strings nobody has taken."""
        return len(self._long)

    def _outside(self, chunk: bytes, at: int) -> int:
        begin = chunk.find(_QUOTE, at)
        if begin < 0:
            self.text += chunk[at:]
            return len(chunk)
        self.text += chunk[at:begin]
        self._pieces, self._length, self._escaped = [], 0, False
        return begin + 1

    def _inside(self, chunk: bytes, at: int) -> int:
        end = self._end_of_string(chunk, at)
        stop = len(chunk) if end < 0 else end
        assert self._pieces is not None  # noqa: S101 - the caller has checked
        if stop > at:
            self._pieces.append(chunk[at:stop] if stop - at < len(chunk) else chunk)
            self._length += stop - at
        if end >= 0:
            self._close(self._pieces)
            return end + 1
        return stop

    def _end_of_string(self, chunk: bytes, at: int) -> int:
        """The index of the quote that ends the string; -1 where it goes on behind the chunk."""
        begin = at
        while True:
            quote = chunk.find(_QUOTE, at)
            stop = len(chunk) if quote < 0 else quote
            behind = stop
            while behind > begin and chunk[behind - 1] == _BACKSLASH:
                behind -= 1
            odd = (stop - behind) % 2 == 1
            if behind == begin and self._escaped:
                odd = not odd
            if quote < 0:
                self._escaped = odd
                return -1
            if not odd:
                self._escaped = False
                return quote
            at = begin = quote + 1
            self._escaped = False

    def _close(self, pieces: Pieces) -> None:
        self._pieces = None
        if self._length <= LONG:
            self.text += _QUOTE + b"".join(pieces) + _QUOTE
            return
        placeholder = f"{self._mark}-{self._count}"
        self._count += 1
        self._long[placeholder] = pieces
        self.text += f'"{placeholder}"'.encode()
