"""Removes the background of a picture: what is near the colour of its border, else all but an ellipse.

Called in a worker thread by the studio, for endpoints that make no model. The result has the size of the
picture, upright, and never the bytes of the picture.
"""

import io
from typing import Final

from PIL import Image, ImageChops, ImageDraw

from fal_emulator.making import Job
from fal_emulator.picture import read_whole

_NEAR: Final = 24
"""So far apart, in each channel, colours still count as that of the border."""
_PLAIN: Final = 0.9
"""A border of which this part is near one colour is a background."""
_COVERED: Final = (0.01, 0.99)
"""An object that covers less or more of the picture than this is none that was found."""


def cut_out(job: Job) -> dict[str, bytes]:
    """Every file of the result by its name. Raises PictureError if the picture cannot be read."""
    picture = read_whole(job.pictures[0])
    kept = picture.getchannel("A")
    if kept.getextrema() == (255, 255):  # otherwise it is cut out already
        kept = _kept(picture.convert("RGB"))
        picture.putalpha(kept)
    _sign(picture, bytes.fromhex(job.mark))
    return {part.name: _written(picture if part.use == "model" else kept, part.format) for part in job.parts}


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of a file that was made here."""
    with Image.open(io.BytesIO(data)) as picture:
        return picture.size


def _kept(picture: Image.Image) -> Image.Image:
    """White where the object is."""
    colour = _border_colour(picture)
    if colour is not None:
        mask = _distance(picture, colour).point(lambda apart: 255 if apart > _NEAR else 0)
        if _COVERED[0] <= _white_part(mask) <= _COVERED[1]:
            return mask
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).ellipse((0, 0, picture.width - 1, picture.height - 1), fill=255)
    return mask


def _border_colour(picture: Image.Image) -> tuple[int, ...] | None:
    """The middle colour of the outermost pixels; None where they have no colour in common."""
    wide, high = picture.size
    sides = [(0, 0, wide, 1), (0, high - 1, wide, high), (0, 0, 1, high), (wide - 1, 0, wide, high)]
    strip = Image.new("RGB", (2 * wide + 2 * high, 1))
    at = 0
    for number, side in enumerate(sides):
        one = picture.crop(side)
        strip.paste(one if number < 2 else one.transpose(Image.Transpose.ROTATE_90), (at, 0))
        at += wide if number < 2 else high
    colour = tuple(_median(channel) for channel in strip.split())
    far = _distance(strip, colour).point(lambda apart: 255 if apart > _NEAR else 0)
    return colour if _white_part(far) <= 1 - _PLAIN else None


def _median(channel: Image.Image) -> int:
    half, seen = channel.width * channel.height / 2, 0
    for value, count in enumerate(channel.histogram()):
        seen += count
        if seen >= half:
            return value
    return 255


def _distance(picture: Image.Image, colour: tuple[int, ...]) -> Image.Image:
    """How far each pixel is from the colour, in the channel in which it is farthest."""
    red, green, blue = ImageChops.difference(picture, Image.new("RGB", picture.size, colour)).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def _white_part(mask: Image.Image) -> float:
    return mask.histogram()[255] / (mask.width * mask.height)


def _written(picture: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    if form == "png":
        picture.save(buffer, "PNG", compress_level=1)
    else:
        picture.save(buffer, form.upper())
    return buffer.getvalue()


def _sign(picture: Image.Image, mark: bytes) -> None:
    """Write the mark into the colours of pixels of the border that cannot be seen.

    So a picture that was cut out already becomes another file again, and a caller that drops comments from
    pictures still has the same bytes.
    """
    wide, high = picture.size
    border = [(x, y) for y in {0, high - 1} for x in range(wide)]
    border += [(x, y) for x in {0, wide - 1} for y in range(high)]
    for place in dict.fromkeys(border):
        pixel = picture.getpixel(place)
        if mark and isinstance(pixel, tuple) and pixel[3] == 0:
            picture.putpixel(place, (*mark[:3].ljust(3), 0))
            mark = mark[3:]
