"""What a PNG's other chunks say of how it is shown: its orientation, and its colours.

Sources: the W3C's PNG specification (chunks, and which of them counts), ImageMagick's and ExifTool's "Raw
profile type" texts (EXIF in hexadecimal). A chunk that is damaged is ignored, as viewers do.
"""

import binascii
import struct
import zlib
from collections.abc import Mapping
from typing import Final

import msgspec

from image2model.media.colour import SRGB, cicp_profile, gamma_profile
from image2model.media.hdr import is_hdr
from image2model.media.picture import MAX_PROFILE_BYTES, Span, orientation_of

TEXTS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt"})
"""The chunks that hold text."""
_KEYWORDS: Final = (b"Raw profile type exif\x00", b"Raw profile type APP1\x00")
_MAX_EXIF_BYTES: Final = 1 << 20


def has_raw_exif(data: bytes | bytearray, span: Span) -> bool:
    """Whether a text chunk holds EXIF."""
    return data.startswith(_KEYWORDS, span[0] + 8)


def frames_of(data: bytes | bytearray, chunks: Mapping[bytes, Span]) -> int:
    """How many frames an animation says it has."""
    return max(1, int.from_bytes(_content(data, chunks.get(b"acTL"))[:4], "big"))


def orientation(data: bytes | bytearray, chunks: Mapping[bytes, Span], raw_exif: Span | None) -> int:
    """The EXIF orientation, 1 to 8; 1 where none is said."""
    exif = _content(data, chunks.get(b"eXIf"))
    if not exif and raw_exif is not None:
        exif = _decoded(data, raw_exif)
    return orientation_of(exif.removeprefix(b"Exif\x00\x00"))


class Colours(msgspec.Struct, frozen=True):
    """How a PNG's values are meant. All empty: sRGB.

    `made`: the profile is made from other chunks, and of RGB values also where the pixels are grey. `hdr`:
    H.273's code points of primaries and transfer, where no profile can say it.
    """

    profile: bytes | None = None
    made: bool = False
    hdr: tuple[int, int] | None = None


def colours(data: bytes | bytearray, chunks: Mapping[bytes, Span]) -> Colours:
    """By the first of cICP, iCCP, sRGB, gAMA with cHRM that says something."""
    cicp = _content(data, chunks.get(b"cICP"))
    if len(cicp) == 4 and cicp[2] == 0:  # RGB, as a PNG's values always are
        found = _by_code_points(cicp[0], cicp[1])
        if found is not None:
            return found
    if (embedded := _embedded(data, chunks.get(b"iCCP"))) is not None or b"sRGB" in chunks:
        return Colours(embedded)
    gamma = _content(data, chunks.get(b"gAMA"))
    if len(gamma) != 4:
        return Colours()
    corners = _content(data, chunks.get(b"cHRM"))
    chromaticities = None
    if len(corners) == 32:
        white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y = (
            value / 100_000 for value in struct.unpack(">8I", corners)
        )
        chromaticities = (white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y)
    return Colours(gamma_profile(int.from_bytes(gamma, "big") / 100_000, chromaticities), made=True)


def nclx_colours(colour: bytes) -> Colours:
    """By the code points of a HEIC's or AVIF's `colr` box, if it has such."""
    if colour[:4] != b"nclx" or len(colour) < 8:
        return Colours()
    return _by_code_points(*struct.unpack_from(">HH", colour, 4)) or Colours()


def _by_code_points(primaries: int, transfer: int) -> Colours | None:
    """None where they say nothing."""
    if is_hdr(primaries, transfer):
        return Colours(hdr=(primaries, transfer))
    made = cicp_profile(primaries, transfer)
    return Colours(made, made=True) if made is not None or (primaries, transfer) == SRGB else None


def _embedded(data: bytes | bytearray, span: Span | None) -> bytes | None:
    """The profile of an iCCP chunk; None if absent, damaged or unreasonably large."""
    content = _content(data, span)
    name_end = content.find(b"\x00", 0, 80)
    return None if name_end < 0 else _unpacked(content[name_end + 2 :], MAX_PROFILE_BYTES)


def _decoded(data: bytes | bytearray, span: Span) -> bytes:
    """The bytes of a raw profile: a name and a length, then hexadecimal digits in lines."""
    kind, content = data[span[0] + 4 : span[0] + 8], _content(data, span)
    text: bytes | None = content[len(_KEYWORDS[0]) :]
    if kind == b"zTXt":
        text = _unpacked(content[len(_KEYWORDS[0]) + 1 :], _MAX_EXIF_BYTES)
    elif kind == b"iTXt":
        text = _international(content[len(_KEYWORDS[0]) :])
    words = (text or b"").split()
    try:
        return binascii.unhexlify(b"".join(words[2:]))[:_MAX_EXIF_BYTES]
    except binascii.Error:
        return b""


def _international(content: bytes) -> bytes | None:
    """The text of an iTXt chunk, after its keyword: flags, a language, a translated keyword, the text."""
    parts = content[2:].split(b"\x00", 2)
    if len(parts) < 3:
        return None
    return _unpacked(parts[2], _MAX_EXIF_BYTES) if content[0] else parts[2]


def _unpacked(packed: bytes, most: int) -> bytes | None:
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(packed, most)
    except zlib.error:
        return None
    return plain if unpacker.eof else None


def _content(data: bytes | bytearray, span: Span | None) -> bytes:
    return b"" if span is None else bytes(data[span[0] + 8 : span[1] - 4])
