"""Reads the structure of a WebP: its RIFF chunks, never its pixels.

Sources: RFC 9649 (container, VP8L) and RFC 6386 section 9.1 (VP8 frame header). The cost is one step per
chunk, so the number of chunks is bounded.
"""

import struct

import msgspec

from image2model.errors import ImageTruncated, NotAnImage
from image2model.media.picture import PictureInfo, Span, orientation_of, picture_info

_MAX_CHUNKS = 20_000
_PIXELS = (b"VP8 ", b"VP8L", b"ANMF")
_KINDS = (b"VP8X", b"EXIF", b"ICCP", *_PIXELS)


class WebpLayout(msgspec.Struct, frozen=True):
    """The facts in a WebP's headers. Spans are (first byte, one past the last) of a chunk's content."""

    width: int
    height: int
    lossless: bool
    frames: int
    orientation: int
    profile: Span | None


def inspect_webp(data: bytes | bytearray) -> PictureInfo:
    """The picture of a WebP that is complete. Raises ImageTruncated or NotAnImage."""
    layout = read_webp(data)
    return picture_info(
        "webp", layout.width, layout.height, orientation=layout.orientation, frames=layout.frames
    )


def read_webp(data: bytes | bytearray) -> WebpLayout:
    """Every chunk inside the RIFF; what follows it is ignored. Raises ImageTruncated or NotAnImage."""
    found, frames = _chunks(data)
    if not any(kind in found for kind in _PIXELS):
        raise ImageTruncated("The WebP holds no pixels. Send the whole file.")
    width, height = _size(data, found)
    exif = found.get(b"EXIF", (0, 0))
    return WebpLayout(
        width, height,
        lossless=_is_lossless(data, found), frames=max(1, frames),
        orientation=orientation_of(bytes(data[slice(*exif)]).removeprefix(b"Exif\x00\x00")),
        profile=found.get(b"ICCP"),
    )  # fmt: skip


def webp_profile(data: bytes | bytearray, layout: WebpLayout) -> bytes | None:
    """The embedded ICC profile; None if absent."""
    return None if layout.profile is None else bytes(data[slice(*layout.profile)])


def _chunks(data: bytes | bytearray) -> tuple[dict[bytes, Span], int]:
    """The content of the first chunk of each kind in `_KINDS`, and the number of frames."""
    if len(data) < 20:
        raise ImageTruncated("The WebP ends inside its header. Send the whole file.")
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise ImageTruncated("The WebP is shorter than its header says. Send the whole file.")
    found: dict[bytes, Span] = {}
    frames = 0
    position = 12
    for _ in range(_MAX_CHUNKS):
        if position + 8 > end:
            return found, frames
        kind, length = struct.unpack_from("<4sI", data, position)
        position += 8
        if position + length > end:
            raise ImageTruncated("The WebP ends inside one of its chunks. Send the whole file.")
        if kind in _KINDS:
            found.setdefault(kind, (position, position + length))
            frames += kind == b"ANMF"
        position += length + (length & 1)  # chunks are padded to an even length
    raise NotAnImage(f"The WebP has more than {_MAX_CHUNKS:,} chunks. Save the picture again.")


def _size(data: bytes | bytearray, found: dict[bytes, Span]) -> tuple[int, int]:
    """The largest size in any header: in an honest file all are the same."""
    sizes = []
    if b"VP8X" in found:
        sizes.append(_canvas_size(data, found[b"VP8X"]))
    if b"VP8 " in found:
        sizes.append(_lossy_size(data, found[b"VP8 "]))
    if b"VP8L" in found:
        sizes.append(_lossless_size(data, found[b"VP8L"]))
    if not sizes:
        raise NotAnImage("The WebP is damaged: no header gives its size. Save the picture again.")
    return max(sizes, key=lambda size: size[0] * size[1])


def _canvas_size(data: bytes | bytearray, span: Span) -> tuple[int, int]:
    content = _head(data, span, 10)
    return 1 + int.from_bytes(content[4:7], "little"), 1 + int.from_bytes(content[7:10], "little")


def _lossy_size(data: bytes | bytearray, span: Span) -> tuple[int, int]:
    content = _head(data, span, 10)
    if content[3:6] != b"\x9d\x01\x2a":
        raise NotAnImage("The WebP is damaged: its picture has no key frame. Save the picture again.")
    width, height = struct.unpack_from("<HH", content, 6)
    width, height = width & 0x3FFF, height & 0x3FFF
    if not width or not height:
        raise NotAnImage(f"The WebP says it is {width} × {height} pixels. Save the picture again.")
    return width, height


def _lossless_size(data: bytes | bytearray, span: Span) -> tuple[int, int]:
    content = _head(data, span, 5)
    if content[0] != 0x2F:
        raise NotAnImage(
            "The WebP is damaged: its lossless picture has no signature. Save the picture again."
        )
    bits = int.from_bytes(content[1:5], "little")
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)


def _is_lossless(data: bytes | bytearray, found: dict[bytes, Span]) -> bool:
    """An animation has its coding in the first frame, after 16 bytes of the frame's place and time."""
    frame = found.get(b"ANMF")
    return b"VP8L" in found or (frame is not None and data[frame[0] + 16 : frame[0] + 20] == b"VP8L")


def _head(data: bytes | bytearray, span: Span, length: int) -> bytes:
    if span[1] - span[0] < length:
        raise ImageTruncated("The WebP ends inside its picture's header. Send the whole file.")
    return bytes(data[span[0] : span[0] + length])
