"""Warns of pictures that will hardly become a good model, before anything is bought.

Cheap measures on a small copy. A warning on a good picture is worse than none on a bad one, so each speaks up
only where it is sure. They refuse nothing. Everything here decodes pixels: run it in a thread.
"""

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import Final

import msgspec
from PIL import Image, ImageStat

from image2model.domain import PictureWarningCode
from image2model.errors import ImageFailure
from image2model.media.arrange import Box, has_clear_pixels, object_box
from image2model.media.parts import has_several_objects
from image2model.media.picture import PictureInfo
from image2model.media.pixels import converted, decode, upright
from image2model.media.source import StrippedSource, read_source
from image2model.media.text_lines import text_share


class Advice(msgspec.Struct, frozen=True):
    """One warning: what is wrong, and what to do."""

    code: PictureWarningCode
    message: str


# Shorter than this on its longer side, an object is hardly there: models look at 512 pixels and more.
_TINY: Final = 128
# A JPEG is decoded to at least `_DRAFT` on its shorter side, and every picture scaled to at most `_TEXT_SIDE`
# on its longer side. Then the letters of a screenshot are still some pixels high.
_DRAFT: Final = 512
_TEXT_SIDE: Final = 1280
_TEXT_SHARE: Final = 0.25
_PARTS_SIDE: Final = 256
# A smaller box around what is not background holds a speck.
_SPECK: Final = 4
# So small a copy has no noise left. `_SPAN` is between its darkest and its brightest pixels, of 255, without
# the few outermost ones. A fine pattern has none left either: `_DEVIATION` is that of the large copy.
_UNIFORM_SIDE: Final = 64
_SPAN: Final = 8
_OUTERMOST: Final = 0.001
_DEVIATION: Final = 12
# The memory that decoding may take, and what each pixel takes: twice its four bytes where there is alpha. A
# JPEG of several scans is held whole, whatever its draft: six bytes of coefficients a pixel.
_MAX_BYTES: Final = 240_000_000
_BYTES: Final = 8
_BYTES_OF_NEWER: Final = 13  # their decoders take up to 4.5 times the picture's colours
_BYTES_OF_SCANS: Final = 6
_BYTES_OF_DRAFT: Final = 1
_MAX_DECODED: Final = 600_000_000
_JPEG_SCAN: Final = b"\xff\xda"
_BANDS: Final = ("RGB", "RGBA", "L", "CMYK")


def advice(data: bytes, *, max_pixels: int) -> Advice | None:
    """The one that matters most. None about a picture that cannot be decoded, or takes too much memory."""
    try:
        info, source = read_source(data, max_pixels=max_pixels)
        if max(info.width, info.height) < _TINY:
            return _tiny("picture", info.width, info.height)
        if not _is_affordable(info, source):
            return None
        image = upright(
            converted(_reduced(decode(source, draft=(_DRAFT, _DRAFT))), source), source.orientation
        )
    except ImageFailure:
        return None
    return _measured(_scaled(image, _TEXT_SIDE), full_side=max(info.width, info.height))


def _is_affordable(info: PictureInfo, source: StrippedSource) -> bool:
    """Whether decoding takes little memory, and little time: each scan of a JPEG goes over all its pixels."""
    pixels = info.width * info.height
    if info.format != "jpeg":
        each = _BYTES if info.format in ("png", "webp") else _BYTES_OF_NEWER
        return pixels * each <= _MAX_BYTES
    scans = source.data.count(_JPEG_SCAN)
    each = _BYTES_OF_DRAFT if scans == 1 else _BYTES_OF_SCANS
    return pixels * each <= _MAX_BYTES and pixels * scans <= _MAX_DECODED


def _measured(image: Image.Image, *, full_side: int) -> Advice | None:
    """`image`: upright sRGB; `full_side`: the longer side of the picture as it was uploaded, in pixels."""
    small = _scaled(image, _PARTS_SIDE)
    box = object_box(small)
    if box is not None and max(_size(box)) >= _SPECK:
        width, height = (round(side * full_side / max(small.size)) for side in _size(box))
        if max(width, height) < _TINY:
            return _tiny("object", width, height)
    if _is_uniform(image, box):
        return _UNIFORM_PICTURE
    if text_share(_grey(image)) > _TEXT_SHARE:
        return _TEXT_PICTURE
    return SEVERAL_OBJECTS if has_several_objects(small) else None


def _is_uniform(image: Image.Image, box: Box | None) -> bool:
    if has_clear_pixels(image):
        return box is None
    if max(ImageStat.Stat(image.convert("RGB")).stddev) > _DEVIATION:
        return False
    tiny = _scaled(image.convert("RGB"), _UNIFORM_SIDE)
    return all(_span(tiny.getchannel(band).histogram()) < _SPAN for band in "RGB")


def _span(counts: list[int]) -> int:
    skipped = _OUTERMOST * sum(counts)
    running = list(accumulate(counts))
    return bisect_left(running, running[-1] - skipped) - bisect_right(running, skipped)


def _reduced(image: Image.Image) -> Image.Image:
    """A copy smaller by a whole number, so that fewer colours are converted."""
    factor = max(image.size) // _TEXT_SIDE
    if factor < 2 or image.mode not in _BANDS or "transparency" in image.info:
        return image
    return image.reduce(factor)


def _scaled(image: Image.Image, side: int) -> Image.Image:
    """The picture, or a copy whose longer side is `side` pixels."""
    scale = side / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def _grey(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image.convert("L")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("L")


def _size(box: Box) -> tuple[int, int]:
    left, top, right, bottom = box
    return right - left, bottom - top


def _tiny(what: str, width: int, height: int) -> Advice:
    return Advice(
        PictureWarningCode.TINY,
        f"The {what} has only {width} × {height} pixels. Send a picture where it has 512 or more.",
    )


_UNIFORM_PICTURE: Final = Advice(
    PictureWarningCode.UNIFORM,
    "The picture has almost one colour. No object can be told from its background.",
)
_TEXT_PICTURE: Final = Advice(
    PictureWarningCode.TEXT,
    "The picture is full of text, like a screenshot or a page. Send a picture of one object.",
)
SEVERAL_OBJECTS: Final = Advice(
    PictureWarningCode.SEVERAL_OBJECTS,
    "The picture shows several objects, and all become one model. Crop it to one of them. If they are views "
    "of one object, send each as a view.",
)
