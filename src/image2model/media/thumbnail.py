"""A small WebP of a picture for the page and for reports.

Called in a thread. It takes any picture that `preflight` takes, or the pixels that this one has at hand.
"""

import io
from typing import Final

from PIL import Image

from image2model.media.decode import converted, decode, upright
from image2model.media.source import read_source

SIZE: Final = 256
_QUALITY = 80
_METHOD = 0  # of 0 to 6: a third of the default's time for a quarter more bytes, which are few


def thumbnail(data: bytes, *, size: int = SIZE, max_pixels: int = 50_000_000) -> bytes:
    """A WebP of at most `size` × `size` pixels, upright, in sRGB, never larger than the picture.

    Raises ImageFailure `image_unreadable`.
    """
    _, source = read_source(data, max_pixels=max_pixels)
    image = converted(decode(source, draft=2 * size), source)
    return to_webp(shrunk(image, source.orientation, size))


def shrunk(image: Image.Image, orientation: int, size: int = SIZE) -> Image.Image:
    """Pixels in sRGB as they were stored, small and upright. The picture stays as it is."""
    scale = size / max(image.size)
    if scale >= 1:
        small = image.copy()
    else:
        fitting = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        small = image.resize(fitting, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return upright(small, orientation)


def to_webp(small: Image.Image) -> bytes:
    """What `shrunk` made as a file, without metadata."""
    small.info = {}
    out = io.BytesIO()
    small.save(out, "WEBP", quality=_QUALITY, method=_METHOD)
    return out.getvalue()
