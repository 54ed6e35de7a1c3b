"""Reads the structure of a JPEG: its marker segments, never its pixels.

Sources: ITU-T T.81 Annex B (markers), Exif 2.3 (APP1), ICC.1 Annex B (APP2), Adobe TN 5116 (APP14).
Entropy-coded data is only searched, in C code, and the number of segments is bounded.
"""

import re
import struct

import msgspec

from image2model.errors import ImageTruncated, NotAnImage
from image2model.media.picture import MAX_PROFILE_BYTES, PictureInfo, Span, orientation_of, picture_info

SOI = b"\xff\xd8"
EOI = b"\xff\xd9"
_SOS, _APP0, _APP1, _APP2, _APP14, _APP15, _COM = 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
# Start-of-frame markers: C0 to CF without DHT (C4), JPG (C8) and DAC (CC).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
_MAX_SEGMENTS = 10_000
_FILL = re.compile(rb"\xff*")
# A marker inside entropy-coded data: not a stuffed zero, a restart, or a fill byte.
_MARKER_IN_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


class JpegLayout(msgspec.Struct, frozen=True):
    """Where the parts of a JPEG are. Spans are (first byte, one past the last) of whole segments."""

    width: int
    height: int
    components: int
    orientation: int
    adobe: bool  # an APP14 segment: its CMYK is stored inverted
    needed: list[Span]  # the segments that decoding needs, before the first scan
    profile: list[Span]  # contents of the ICC segments
    scan: int  # offset of the first SOS


class _Reading(msgspec.Struct):
    frame: tuple[int, int, int] | None = None
    exif: bytes | None = None
    adobe: bool = False
    needed: list[Span] = []
    profile: list[Span] = []


def inspect_jpeg(data: bytes | bytearray) -> PictureInfo:
    """The picture of a JPEG that is complete up to an EOI. Raises ImageTruncated or NotAnImage."""
    layout = read_jpeg(data)
    # Most files end with EOI; only appended data (MPO, camera makers) needs the search.
    if not data.endswith(EOI):
        scan_spans(data, layout.scan)
    return picture_info("jpeg", layout.width, layout.height, orientation=layout.orientation)


def read_jpeg(data: bytes | bytearray) -> JpegLayout:
    """Every segment up to the first scan. Raises ImageTruncated or NotAnImage."""
    reading = _Reading()
    position = len(SOI)
    for _ in range(_MAX_SEGMENTS):
        marker, start, end = _segment(data, position)
        if marker == _SOS:
            return _layout(reading, start)
        _note(data, marker, start, end, reading)
        position = end
    raise NotAnImage(f"The JPEG has more than {_MAX_SEGMENTS:,} segments. Save the picture again.")


def scan_spans(data: bytes | bytearray, scan: int) -> list[Span]:
    """All scans with the tables between them, up to and including EOI. Raises ImageTruncated without one.

    Comments and application segments between scans are left out.
    """
    spans: list[Span] = []
    position = scan
    for _ in range(_MAX_SEGMENTS):
        marker, start, end = _segment(data, position)
        if marker == EOI[1]:
            return [*spans, (start, end)]
        if marker == _SOS:
            found = _MARKER_IN_SCAN.search(data, end)
            if found is None:
                raise ImageTruncated("The JPEG ends before its end marker (EOI). Send the whole file.")
            end = found.start()
        if not _is_metadata(marker):
            spans.append((start, end))
        position = end
    raise NotAnImage(f"The JPEG has more than {_MAX_SEGMENTS:,} segments. Save the picture again.")


def jpeg_profile(data: bytes | bytearray, layout: JpegLayout) -> bytes | None:
    """The embedded ICC profile put together from its numbered segments; None if absent or incomplete."""
    parts = {data[start + 12]: bytes(data[start + 14 : end]) for start, end in layout.profile}
    totals = {data[start + 13] for start, _ in layout.profile}
    if totals != {len(parts)} or set(parts) != set(range(1, len(parts) + 1)):
        return None
    profile = b"".join(parts[number] for number in sorted(parts))
    return profile if len(profile) <= MAX_PROFILE_BYTES else None


def _segment(data: bytes | bytearray, position: int) -> tuple[int, int, int]:
    """The next segment from `position`: its marker, its first byte, one past its last byte."""
    found = data.find(b"\xff", position)
    filled = _FILL.match(data, max(found, 0))
    after = filled.end() if filled else 0
    if found < 0 or after >= len(data):
        raise ImageTruncated("The JPEG ends between two of its segments. Send the whole file.")
    marker, start = data[after], after - 1
    if marker in _BARE or marker == EOI[1] or marker == 0:
        return marker, start, after + 1
    if after + 3 > len(data):
        raise ImageTruncated("The JPEG ends inside a segment. Send the whole file.")
    (length,) = struct.unpack_from(">H", data, after + 1)
    end: int = after + 1 + length
    if length < 2:
        raise NotAnImage("The JPEG is damaged: a segment has no valid length. Save the picture again.")
    if end > len(data):
        raise ImageTruncated("The JPEG ends inside a segment. Send the whole file.")
    return marker, start, end


def _note(data: bytes | bytearray, marker: int, start: int, end: int, reading: _Reading) -> None:
    content = start + 4
    if marker == EOI[1]:
        raise ImageTruncated("The JPEG holds no pixels: it ends before its first scan. Send the whole file.")
    if marker in _FRAMES and reading.frame is None:
        reading.frame = _frame(data, content, end)
    elif marker == _APP1 and reading.exif is None and data[content : content + 6] == b"Exif\x00\x00":
        reading.exif = bytes(data[content + 6 : end])
    elif marker == _APP2 and end - content >= 14 and data[content : content + 12] == b"ICC_PROFILE\x00":
        reading.profile.append((content, end))
    elif marker == _APP14 and data[content : content + 5] == b"Adobe":
        reading.adobe = True
        reading.needed.append((start, end))
    elif marker == _APP0 and data[content : content + 5] == b"JFIF\x00":
        reading.needed.append((start, end))
    if not _is_metadata(marker) and marker not in _BARE and marker != 0:
        reading.needed.append((start, end))


def _is_metadata(marker: int) -> bool:
    return _APP0 <= marker <= _APP15 or marker == _COM


def _frame(data: bytes | bytearray, content: int, end: int) -> tuple[int, int, int]:
    if end - content < 6:
        raise NotAnImage("The JPEG is damaged: its frame header is too short. Save the picture again.")
    height, width, components = struct.unpack_from(">HHB", data, content + 1)
    if not width or not height:
        raise NotAnImage(f"The JPEG says it is {width} × {height} pixels. Save the picture again.")
    return width, height, components


def _layout(reading: _Reading, scan: int) -> JpegLayout:
    if reading.frame is None:
        raise NotAnImage("The JPEG is damaged: it has no frame header. Save the picture again.")
    width, height, components = reading.frame
    return JpegLayout(
        width, height, components, orientation_of(reading.exif or b""), reading.adobe,
        needed=reading.needed, profile=reading.profile, scan=scan,
    )  # fmt: skip
