"""Reads the structure of a PNG: its chunks, never its pixels.

Source: the W3C's "Portable Network Graphics (PNG) Specification". The cost is one step per chunk, so the
number of chunks is bounded.
"""

import struct

import msgspec

from image2model.errors import ImageTruncated, NotAnImage
from image2model.media.picture import PictureInfo, Span, picture_info
from image2model.media.png_metadata import TEXTS, frames_of, has_raw_exif, orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_GREY, COLOUR_RGB, COLOUR_PALETTE, COLOUR_RGBA = 0, 2, 3, 6
# A libpng with its default 8 KiB buffer writes 1,280 chunks for 10 MiB.
_MAX_CHUNKS = 100_000
_HEADER = struct.Struct(">I4s")
_IHDR = struct.Struct(">IIBBBBB")


class PngLayout(msgspec.Struct, frozen=True):
    """Where the parts of a PNG are. Spans are (first byte, one past the last) of whole chunks."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool
    critical: list[Span]  # IHDR, PLTE, tRNS, IDAT…, IEND in their order
    frames: int
    others: dict[bytes, Span]  # the first chunk of every other kind, and tRNS
    raw_exif: Span | None  # a text chunk with EXIF in hexadecimal

    @property
    def transparent(self) -> bool:
        """Whether a tRNS chunk names a colour, or alpha values of a palette."""
        return b"tRNS" in self.others


def inspect_png(data: bytes | bytearray) -> PictureInfo:
    """The picture of a PNG that is complete. Raises ImageTruncated or NotAnImage."""
    layout = read_png(data)
    return picture_info(
        "png",
        layout.width,
        layout.height,
        orientation=orientation(data, layout.others, layout.raw_exif),
        frames=layout.frames,
    )


def read_png(data: bytes | bytearray) -> PngLayout:
    """Every chunk up to IEND; what follows it is ignored. Raises ImageTruncated or NotAnImage."""
    width, height, depth, colour, interlaced = _read_header(data)
    critical: list[Span] = []
    found: dict[bytes, Span] = {}
    raw_exif: Span | None = None
    position, size = len(SIGNATURE), len(data)
    unpack = _HEADER.unpack_from
    for _ in range(_MAX_CHUNKS):
        if position + 12 > size:
            raise ImageTruncated("The PNG ends before its IEND chunk. Send the whole file.")
        length, kind = unpack(data, position)
        span = (position, position + 12 + length)
        position = span[1]
        if not kind.isalpha():
            raise NotAnImage("The PNG is damaged: a chunk has no valid name. Save the picture again.")
        if position > size:
            raise ImageTruncated("The PNG ends inside one of its chunks. Send the whole file.")
        if kind == b"IDAT" or kind in (b"IHDR", b"PLTE", b"tRNS", b"IEND"):
            critical.append(span)
        elif raw_exif is None and kind in TEXTS and has_raw_exif(data, span):
            raw_exif = span
        found.setdefault(kind, span)
        if kind == b"IEND":
            break
    else:
        raise NotAnImage(f"The PNG has more than {_MAX_CHUNKS:,} chunks. Save the picture again.")
    if b"IDAT" not in found:
        raise ImageTruncated("The PNG holds no pixels (no IDAT chunk). Send the whole file.")
    return PngLayout(
        width, height, depth, colour, interlaced, critical,
        frames=frames_of(data, found), others=found, raw_exif=raw_exif,
    )  # fmt: skip


def _read_header(data: bytes | bytearray) -> tuple[int, int, int, int, bool]:
    if len(data) < 33:
        raise ImageTruncated("The PNG ends inside its header. Send the whole file.")
    if data[8:16] != b"\x00\x00\x00\rIHDR":
        raise NotAnImage("The PNG is damaged: it does not begin with an IHDR chunk. Save the picture again.")
    width, height, depth, colour, _, _, interlace = _IHDR.unpack_from(data, 16)
    if not (0 < width < 2**31 and 0 < height < 2**31):
        raise NotAnImage(f"The PNG says it is {width} × {height} pixels. Save the picture again.")
    return width, height, depth, colour, interlace == 1
