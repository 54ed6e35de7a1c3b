"""A small WebP of a picture for the page and for reports.

Called in a thread. It takes any picture that `preflight` takes, or the pixels that this one has at hand.
"""

import io
from typing import Final

import msgspec
from PIL import Image

from image2model.media.picture import PictureInfo
from image2model.media.pixels import converted, decode, unreadable, upright
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


# Above this an opaque picture becomes a JPEG: as a PNG it would be tens of megabytes to upload.
_PNG_MAX_PIXELS = 4_000_000
_PNG_LEVEL = 3
_JPEG_QUALITY = 95
# libjpeg writes no longer side. Of what is taken only a PNG can be longer.
_JPEG_LONGEST_SIDE = 65_500


class Prepared(msgspec.Struct, frozen=True):
    """What is uploaded to FAL. `width` and `height` are pixels, orientation applied.

    `small` is the thumbnail, made here while the pixels are at hand: as a file, for it may have to wait.
    """

    data: bytes
    content_type: str
    suffix: str
    width: int
    height: int
    small: bytes


def prepare(data: bytes, *, max_pixels: int) -> Prepared:
    """Decode `data` whole and return it as PNG or JPEG, 8-bit sRGB, upright, without metadata.

    Raises ImageFailure `image_unreadable` (not retryable) with what is wrong and what to do.
    """
    info, source = read_source(data, max_pixels=max_pixels)
    stored = decode(source)
    plain = converted(stored, source)
    small = to_webp(shrunk(plain, source.orientation))
    if plain is stored and source.eight_bit_rgb and source.orientation == 1:
        return _unchanged(source.data, info, stored, small)
    del stored  # 60 MB at 20 megapixels, needed no more
    return _encode(upright(plain, source.orientation), small, lossless=source.lossless)


def _unchanged(data: bytes, info: PictureInfo, image: Image.Image, small: bytes) -> Prepared:
    if image.size != (info.width, info.height):
        raise unreadable("The picture has not the size that its header says.")
    return Prepared(data, info.content_type, info.suffix, *image.size, small)


def _within(image: Image.Image, longest: int) -> Image.Image:
    """The picture, or a smaller copy whose longer side is `longest` pixels."""
    scale = longest / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)


def _encode(image: Image.Image, small: bytes, *, lossless: bool) -> Prepared:
    image.info = {}  # Pillow would write a comment or a profile that it finds here
    out = io.BytesIO()
    if image.mode == "RGBA" or (lossless and image.width * image.height <= _PNG_MAX_PIXELS):
        image.save(out, "PNG", compress_level=_PNG_LEVEL)
        return Prepared(out.getvalue(), "image/png", "png", *image.size, small)
    image = _within(image, _JPEG_LONGEST_SIDE)
    # 4:4:4: a second subsampling would smear the edges that the model reads.
    image.save(out, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return Prepared(out.getvalue(), "image/jpeg", "jpg", *image.size, small)
