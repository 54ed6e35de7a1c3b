"""Crops a picture to its object and pads it to a square: before it is sent, free of charge.

Pure functions on decoded pixels: run them in a thread. They take the modes RGB and RGBA, as
`pixels.converted` returns them. What is cut away are whole rows and columns that show nothing but background.
"""

from bisect import bisect_left
from functools import reduce
from itertools import accumulate
from math import isqrt
from typing import Final

import msgspec
from PIL import Image, ImageChops

# A pixel with an alpha of at most this, of 255, cannot be seen. Background removers leave such a haze.
CLEAR: Final = 8
# How far each channel may be from the background's colour: noise and JPEG's loss, not the edge of a shadow
# or of a white mug on white.
TOLERANCE: Final = 12
# The background has one colour where this share of the outermost pixels has it. An object may be cut
# off by one side: three sides of a picture of 16 to 9 are more.
_UNIFORM_SHARE = 2 / 3
_MAX_PIXELS = 50_000_000
_ABOVE_CLEAR = [255 * (level > CLEAR) for level in range(256)]

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]


class Border(msgspec.Struct, frozen=True):
    """The outermost pixels of a picture: their median colour, and the share of them that has it."""

    colour: Colour
    share: float

    @property
    def uniform(self) -> bool:
        """Whether it is the colour of the background."""
        return self.share >= _UNIFORM_SHARE


def arrange(
    image: Image.Image, *, crop: bool, pad_square: bool, max_pixels: int = _MAX_PIXELS
) -> Image.Image:
    """The picture cropped to its object, then centred in a square: `image` itself if neither changes it.

    The padding is transparent where the picture has pixels that cannot be seen. Otherwise it has the colour
    of the border that the picture had before it was cropped. Where the square would have more than
    `max_pixels` pixels, the picture is made smaller.
    """
    part = cropped(image) if crop else image
    return padded(part, image, max_pixels=max_pixels) if pad_square else part


def cropped(image: Image.Image) -> Image.Image:
    """The picture cropped to its object: `image` itself where that changes nothing or no object is found."""
    box = object_box(image)
    return image if box is None or box == (0, 0, *image.size) else image.crop(box)


def padded(part: Image.Image, image: Image.Image, *, max_pixels: int) -> Image.Image:
    """A part of `image` in a square, filled as `arrange` says: itself if it is one."""
    if part.width == part.height and part.width * part.height <= max_pixels:
        return part
    return _padded(part, _fill(image), max_pixels)


def object_box(image: Image.Image) -> Box | None:
    """The smallest box that holds all that is not background; it ends before its right and its bottom.

    None where no background can be told, or nothing is in front of it.
    """
    if has_clear_pixels(image):
        return image.getchannel("A").point(_ABOVE_CLEAR).getbbox()
    edge = border(image)
    return off(image, edge.colour).getbbox() if edge.uniform else None


def has_clear_pixels(image: Image.Image) -> bool:
    """Whether a part of the picture cannot be seen, so that its alpha tells the background."""
    return image.mode == "RGBA" and any(image.getchannel("A").histogram()[: CLEAR + 1])


def border(image: Image.Image) -> Border:
    """The colour of the picture's outermost pixels, whatever their alpha."""
    edge = _edge(image)
    red, green, blue = (median_of(edge.getchannel(band).histogram()) for band in "RGB")
    colour = (red, green, blue)
    return Border(colour, off(edge, colour).histogram()[0] / edge.width)


def off(image: Image.Image, colour: Colour, tolerance: int = TOLERANCE) -> Image.Image:
    """A mask in mode L: 255 where a channel is further than `tolerance` from the colour's, else 0."""
    bands = (
        image.getchannel(band).point([255 * (abs(level - value) > tolerance) for level in range(256)])
        for band, value in zip("RGB", colour, strict=True)
    )
    return reduce(ImageChops.lighter, bands)


def median_of(counts: list[int]) -> int:
    """The median level of a histogram; 0 for an empty one."""
    return bisect_left(list(accumulate(counts)), (sum(counts) + 1) // 2)


def _edge(image: Image.Image) -> Image.Image:
    """The four outermost rows and columns as one row."""
    width, height = image.size
    rows = [image.crop((0, top, width, top + 1)) for top in (0, height - 1)]
    columns = [image.crop((left, 0, left + 1, height)) for left in (0, width - 1)]
    edge = Image.new("RGB", (2 * (width + height), 1))
    for index, row in enumerate(rows):
        edge.paste(row.convert("RGB"), (index * width, 0))
    for index, column in enumerate(columns):
        turned = column.convert("RGB").transpose(Image.Transpose.ROTATE_90)
        edge.paste(turned, (2 * width + index * height, 0))
    return edge


def _fill(image: Image.Image) -> tuple[int, ...]:
    if has_clear_pixels(image):
        return (0, 0, 0, 0)
    colour = border(image).colour
    return (*colour, 255) if image.mode == "RGBA" else colour


def _padded(image: Image.Image, fill: tuple[int, ...], max_pixels: int) -> Image.Image:
    side = min(max(image.size), isqrt(max_pixels))
    if side < max(image.size):
        scale = side / max(image.size)
        width, height = (max(1, round(length * scale)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    square = Image.new(image.mode, (side, side), fill)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square
