"""A small WebP of a picture for the page and for reports.

Called in a thread: by the preflight, which has the pixels already, and by whoever needs one without it. It
takes any picture that `preflight` takes.
"""

import io
from typing import Final

from PIL import Image

from image2model.media.colour import to_srgb
from image2model.media.decode import decode, upright
from image2model.media.source import read_source

SIZE: Final = 256
_QUALITY = 80
_METHOD = 2  # of 0 to 6: a quarter of the default's time for some 5 % more bytes


def thumbnail(data: bytes, *, size: int = SIZE, max_pixels: int = 50_000_000) -> bytes:
    """A WebP of at most `size` × `size` pixels, upright, in sRGB, never larger than the picture.

    Raises ImageFailure `image_unreadable`.
    """
    _, source = read_source(data, max_pixels=max_pixels)
    image = to_srgb(decode(source, draft=2 * size), source.profile, inverted=source.inverted)
    return small_webp(image, source.orientation, size)


def small_webp(image: Image.Image, orientation: int, size: int = SIZE) -> bytes:
    """The same from pixels in sRGB as they were stored, which stay as they are."""
    small = upright(_shrunk(image, size), orientation)
    small.info = {}
    out = io.BytesIO()
    small.save(out, "WEBP", quality=_QUALITY, method=_METHOD)
    return out.getvalue()


def _shrunk(image: Image.Image, size: int) -> Image.Image:
    scale = size / max(image.size)
    if scale >= 1:
        return image.copy()
    fitting = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(fitting, Image.Resampling.LANCZOS, reducing_gap=2.0)
