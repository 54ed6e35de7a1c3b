"""Reads the structure of a TIFF: its directories, never its pixels.

Source: TIFF 6.0, and the DNG specification for what tells camera raw files apart. The number of directories
and entries is bounded.
"""

import struct
from typing import Final

import msgspec

from image2model.errors import ImageTruncated, NotAnImage
from image2model.media.picture import PictureInfo, picture_info

SIGNATURES: Final = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_MAX_PAGES: Final = 10_000
_MAX_ENTRIES: Final = 4_096
_MAX_STRIPS: Final = 200_000
_SIZES: Final = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_LETTERS: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SUBFILE, _WIDTH, _HEIGHT, _ORIENTATION, _SUBDIRECTORIES, _DNG = 254, 256, 257, 274, 330, 50706
_STRIPS: Final = ((273, 279), (324, 325))
"""Where the parts of the pixels begin, and how long they are: strips, tiles."""


class _Entry(msgspec.Struct, frozen=True):
    kind: int
    count: int
    at: int


class _Reader:
    """The numbers of one file. Classic offsets have 4 bytes, BigTIFF's have 8."""

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data
        self.order = "<" if data[:1] == b"I" else ">"
        self.big = data[2:4] in (b"+\x00", b"\x00+")

    def number(self, letter: str, at: int) -> int:
        try:
            (value,) = struct.unpack_from(self.order + letter, self.data, at)
        except struct.error as error:
            raise ImageTruncated("The TIFF ends inside its directory. Send the whole file.") from error
        return int(value)

    def offset(self, at: int) -> int:
        return self.number("Q" if self.big else "I", at)

    def directory(self, start: int) -> tuple[dict[int, _Entry], int]:
        """The entries by tag, and the offset of the next directory."""
        count = self.number("Q" if self.big else "H", start)
        if count > _MAX_ENTRIES:
            raise NotAnImage("The TIFF is damaged: its directory has too many entries. Save it again.")
        first, step, inline = (start + 8, 20, 8) if self.big else (start + 2, 12, 4)
        entries = {}
        for at in range(first, first + step * count, step):
            tag, kind = self.number("H", at), self.number("H", at + 2)
            values, place = self.offset(at + 4), at + 4 + inline
            if values * _SIZES.get(kind, 1) > inline:
                place = self.offset(place)
            entries[tag] = _Entry(kind, values, place)
        return entries, self.offset(first + step * count)

    def values(self, entry: _Entry) -> tuple[int, ...]:
        letter = _LETTERS.get(entry.kind)
        if letter is None or entry.count > _MAX_STRIPS:
            return ()
        try:
            return struct.unpack_from(f"{self.order}{entry.count}{letter}", self.data, entry.at)
        except struct.error as error:
            raise ImageTruncated("The TIFF ends inside its directory. Send the whole file.") from error

    def value(self, entries: dict[int, _Entry], tag: int, default: int = 0) -> int:
        found = self.values(entries[tag])[:1] if tag in entries else ()
        return found[0] if found else default


def inspect_tiff(data: bytes | bytearray) -> PictureInfo:
    """The first page of a TIFF that is complete. Raises ImageTruncated or NotAnImage."""
    reader = _Reader(data)
    first = reader.offset(8 if reader.big else 4)
    entries, following = reader.directory(first)
    is_preview = reader.value(entries, _SUBFILE) & 1 and _SUBDIRECTORIES in entries
    if _DNG in entries or is_preview or data[8:10] == b"CR":
        raise NotAnImage("The file is a camera raw file. Develop it, and send a JPEG or PNG.")
    width, height = reader.value(entries, _WIDTH), reader.value(entries, _HEIGHT)
    if not (0 < width < 2**31 and 0 < height < 2**31):
        raise NotAnImage(f"The TIFF says it is {width} × {height} pixels. Save the picture again.")
    _check_pixels(reader, entries)
    turned = reader.value(entries, _ORIENTATION, 1)
    return picture_info(
        "tiff",
        width,
        height,
        orientation=turned if 1 <= turned <= 8 else 1,
        frames=_count_pages(reader, first, following),
    )


def _check_pixels(reader: _Reader, entries: dict[int, _Entry]) -> None:
    for starts, lengths in _STRIPS:
        if starts in entries and lengths in entries:
            parts = zip(reader.values(entries[starts]), reader.values(entries[lengths]), strict=False)
            if any(start + length > len(reader.data) for start, length in parts):
                raise ImageTruncated("The TIFF ends inside its pixels. Send the whole file.")
            return
    raise NotAnImage("The TIFF is damaged: it does not say where its pixels are. Save the picture again.")


def _count_pages(reader: _Reader, first: int, following: int) -> int:
    """The directories that follow one another; a chain that is cut off or comes back ends there."""
    seen = {first}
    while following and following not in seen and len(seen) < _MAX_PAGES:
        try:
            _, after = reader.directory(following)
        except (ImageTruncated, NotAnImage):
            break
        seen.add(following)
        following = after
    return len(seen)
