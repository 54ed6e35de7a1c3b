"""Strips metadata from a picture without decoding it: EXIF, XMP, text, thumbnails, profiles.

Whole chunks and segments are kept or dropped, so the pixels stay bit for bit the same. The colour profile and
the orientation are returned beside the bytes, so that Pillow never parses metadata of strangers.
"""

import struct
import zlib

import msgspec

from image2model.errors import FileProblem, ImageFailure, ImageTruncated
from image2model.media import bmff, jpeg, png, png_metadata, png_sixteen, webp
from image2model.media.inspect import contiguous, inspect
from image2model.media.picture import PictureFormat, PictureInfo
from image2model.media.png_metadata import Colours, nclx_colours


class StrippedSource(msgspec.Struct, frozen=True):
    """The stripped picture (first frame where possible), and what a viewer needs to show it right."""

    data: bytes
    format: PictureFormat
    orientation: int
    profile: bytes | None
    inverted: bool  # CMYK is stored inverted, as Adobe does
    lossless: bool
    profile_inside: bool = False  # the decoder gives the file's own profile, which counts before this one
    made_profile: bool = False  # the profile is of RGB values, also where the pixels are grey
    hdr: tuple[int, int] | None = None  # the code points of PQ or HLG colours, which no profile can say
    lower: bytes | None = None  # a PNG of the lower bytes of 16 bits, where `data` is one of the upper
    key: tuple[int, ...] = ()  # the transparent colour of 16-bit samples
    eight_bit_rgb: bool = False  # RGB or RGBA of 8 bits by its header; for a JPEG the decoder decides


def read_source(data: bytes | bytearray, *, max_pixels: int) -> tuple[PictureInfo, StrippedSource]:
    """The picture's facts, and the stripped picture. Raises ImageFailure `image_unreadable`."""
    try:
        info = inspect(data, max_pixels=max_pixels)
        return info, stripped_source(contiguous(data), info)
    except FileProblem as problem:
        raise ImageFailure("image_unreadable", problem.detail, retryable=False) from problem


def stripped_source(data: bytes | bytearray, info: PictureInfo) -> StrippedSource:
    """Strip `data`, whose structure `inspect` has accepted as `info`.

    Raises ImageTruncated or NotAnImage where the structure is broken after all.
    """
    if info.format == "png":
        return _png(data, info)
    if info.format == "jpeg":
        return _jpeg(data, info)
    return _webp(data, info) if info.format == "webp" else _whole(data, info)


def _png(data: bytes | bytearray, info: PictureInfo) -> StrippedSource:
    layout = png.read_png(data)
    view = memoryview(data)
    for start, end in layout.critical:
        # Pillow skips the checksums of IDAT; browsers and FAL's decoders do not.
        if zlib.crc32(view[start + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise ImageTruncated("The PNG is damaged: a checksum is wrong. Save the picture again.")
    colours = png_metadata.colours(data, layout.others)
    stripped = png.SIGNATURE + b"".join([view[start:end] for start, end in layout.critical])
    lower, key = None, _transparent_colour(data, layout)
    if key:
        stripped, lower = png_sixteen.split(
            data, [span for span in layout.critical if data[span[0] + 4 : span[0] + 8] == b"IDAT"],
            width=layout.width, height=layout.height, channels=len(key), interlaced=layout.interlaced,
        )  # fmt: skip
    return StrippedSource(
        stripped, "png", info.orientation, colours.profile,
        inverted=False, lossless=True, hdr=colours.hdr,
        made_profile=colours.made,
        lower=lower, key=key,
        eight_bit_rgb=layout.depth == 8
        and layout.colour in (png.COLOUR_RGB, png.COLOUR_RGBA)
        and not layout.transparent,
    )  # fmt: skip


def _transparent_colour(data: bytes | bytearray, layout: png.PngLayout) -> tuple[int, ...]:
    """The one that a tRNS chunk names among 16-bit samples, which Pillow does not compare as a whole."""
    channels = {png.COLOUR_GREY: 1, png.COLOUR_RGB: 3}.get(layout.colour, 0)
    span = layout.others.get(b"tRNS")
    if layout.depth != 16 or not channels or span is None or span[1] - span[0] != 12 + 2 * channels:
        return ()
    return struct.unpack_from(f">{channels}H", data, span[0] + 8)


def _jpeg(data: bytes | bytearray, info: PictureInfo) -> StrippedSource:
    layout = jpeg.read_jpeg(data)
    view = memoryview(data)
    spans = layout.needed + jpeg.scan_spans(data, layout.scan)
    return StrippedSource(
        jpeg.SOI + b"".join([view[start:end] for start, end in spans]),
        "jpeg", info.orientation, jpeg.jpeg_profile(data, layout),
        inverted=layout.adobe, lossless=False, eight_bit_rgb=layout.components == 3,
    )  # fmt: skip


def _webp(data: bytes | bytearray, info: PictureInfo) -> StrippedSource:
    layout = webp.read_webp(data)
    return StrippedSource(
        bytes(data), "webp", info.orientation, webp.webp_profile(data, layout),
        inverted=False, lossless=layout.lossless, eight_bit_rgb=False,
    )  # fmt: skip


def _whole(data: bytes | bytearray, info: PictureInfo) -> StrippedSource:
    """As it is: its decoder reads the metadata too, in a process of its own, and nothing of it is sent on.

    Decoders of HEIC and TIFF turn the picture themselves.
    """
    colours = Colours()
    if info.format in ("heic", "avif"):
        colours = nclx_colours(bmff.read_bmff(data).colour)
    return StrippedSource(
        bytes(data), info.format, 1 if info.format in ("heic", "tiff") else info.orientation,
        colours.profile, made_profile=colours.made, hdr=colours.hdr, profile_inside=True,
        inverted=True, lossless=info.format in ("gif", "tiff", "bmp"),
    )  # fmt: skip
