"""The size at which a picture fits within limits, and the picture at that size. Pure functions on pixels: run
them in a thread.
"""

from math import ceil, sqrt
from typing import Final

from PIL import Image

from image2model.domain import PictureLimits

NO_LIMITS: Final = PictureLimits()
Size = tuple[int, int]
Box = tuple[float, float, float, float]
_DIRECT: Final = ("RGB", "RGBA", "L", "CMYK")
"""Modes whose pixels can be averaged as they are."""
DRAFT_SCALES: Final = (8, 4, 2)
"""How much smaller a JPEG's decoder can make the sides."""
_DRAFT_SPARE: Final = 1.5
_GAP: Final = 3.0
"""Of Pillow's `reducing_gap`: nearly the result of a plain resize, with less memory."""


def fitted(size: Size, limits: PictureLimits) -> Size:
    """The largest size of the same shape that fits within the limits of sides and pixels: `size` itself if it
    does.
    """
    width, height = size
    scale = min(
        1.0,
        (limits.max_width or width) / width,
        (limits.max_height or height) / height,
        sqrt((limits.max_pixels or width * height) / (width * height)),
    )
    return scaled_size(size, scale, limits)


def scaled_size(size: Size, scale: float, limits: PictureLimits = NO_LIMITS) -> Size:
    """`size` times `scale`, rounded so that the limits still hold."""
    if scale >= 1:
        return size
    width, height = (max(1, round(side * scale)) for side in size)
    width, height = min(width, limits.max_width or width), min(height, limits.max_height or height)
    if limits.max_pixels is not None and width * height > limits.max_pixels:
        width, height = (max(1, int(side * scale)) for side in size)
    return width, height


def turned(limits: PictureLimits) -> PictureLimits:
    """The limits of a picture that lies on its side."""
    return PictureLimits(
        max_bytes=limits.max_bytes,
        max_width=limits.max_height,
        max_height=limits.max_width,
        max_pixels=limits.max_pixels,
    )


def draft_size(whole: Size, size: Size) -> Size:
    """What to ask a JPEG's decoder for, which only halves the sides: `size` if it can hit that, else enough
    more that averaging the rest blurs nothing.
    """
    for scale in DRAFT_SCALES:
        if whole == (scale * size[0], scale * size[1]):
            return size
    width, height = size
    return ceil(_DRAFT_SPARE * width), ceil(_DRAFT_SPARE * height)


def resized(
    image: Image.Image, size: Size, box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """The picture at a smaller size: `image` itself if it has it. `box`: the part of it that counts."""
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, box, _GAP)


def averages(image: Image.Image) -> bool:
    """Whether it can be made smaller before its colours are converted."""
    return image.mode in _DIRECT and "transparency" not in image.info
