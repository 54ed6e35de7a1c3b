"""Prepares a picture for FAL, and makes its thumbnail: decoded whole, upright, 8-bit sRGB, without metadata.

Every function here decodes pixels: run it in a thread.
"""

import io
from typing import Final

import msgspec
from PIL import Image

from image2model.media.picture import PictureInfo
from image2model.media.pixels import converted, decode, unreadable, upright
from image2model.media.source import read_source

THUMBNAIL_SIDE: Final = 256
_WEBP_QUALITY = 80
_WEBP_METHOD = 0  # of 0 to 6: a third of the default's time for a quarter more bytes, which are few
# A larger opaque picture becomes a JPEG: as a PNG it would be tens of megabytes.
_PNG_MAX_PIXELS = 4_000_000
_PNG_LEVEL = 3
_JPEG_QUALITY = 95
# libjpeg's limit. Of the accepted formats only a PNG can have a longer side.
_JPEG_LONGEST_SIDE = 65_500


class Prepared(msgspec.Struct, frozen=True):
    """A picture ready to be uploaded to FAL. `width` and `height` are pixels, orientation applied.

    `thumbnail` is a WebP file, made here while the pixels are decoded.
    """

    data: bytes
    content_type: str
    suffix: str
    width: int
    height: int
    thumbnail: bytes


def prepare(data: bytes, *, max_pixels: int) -> Prepared:
    """Decode `data` whole and return it as PNG or JPEG, 8-bit sRGB, upright, without metadata.

    Raises ImageFailure `image_unreadable` (not retryable) with the reason and what to do.
    """
    info, source = read_source(data, max_pixels=max_pixels)
    stored = decode(source)
    plain = converted(stored, source)
    small = _to_webp(_shrunk(plain, source.orientation))
    if plain is stored and source.eight_bit_rgb and source.orientation == 1:
        return _unchanged(source.data, info, stored, small)
    del stored  # 60 MB at 20 megapixels
    return _encode(upright(plain, source.orientation), small, lossless=source.lossless)


def encoded(image: Image.Image, *, lossless: bool) -> Prepared:
    """A decoded, upright picture in sRGB as a file, with its thumbnail."""
    return _encode(image, _to_webp(_shrunk(image, 1)), lossless=lossless)


def _unchanged(data: bytes, info: PictureInfo, image: Image.Image, small: bytes) -> Prepared:
    if image.size != (info.width, info.height):
        raise unreadable("The picture does not have the size in its header.")
    return Prepared(data, info.content_type, info.suffix, *image.size, small)


def _encode(image: Image.Image, small: bytes, *, lossless: bool) -> Prepared:
    image.info = {}  # Pillow would write a comment or a profile found here
    out = io.BytesIO()
    if image.mode == "RGBA" or (lossless and image.width * image.height <= _PNG_MAX_PIXELS):
        image.save(out, "PNG", compress_level=_PNG_LEVEL)
        return Prepared(out.getvalue(), "image/png", "png", *image.size, small)
    image = _scaled(image, _JPEG_LONGEST_SIDE)
    # 4:4:4: a second subsampling would smear the edges that the model reads.
    image.save(out, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return Prepared(out.getvalue(), "image/jpeg", "jpg", *image.size, small)


def _scaled(image: Image.Image, longest: int) -> Image.Image:
    """The picture, or a smaller copy whose longer side is `longest` pixels."""
    scale = longest / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)


def thumbnail(data: bytes, *, size: int = THUMBNAIL_SIDE, max_pixels: int = 50_000_000) -> bytes:
    """A WebP of at most `size` × `size` pixels, upright, in sRGB, never larger than the picture.

    Raises ImageFailure `image_unreadable`.
    """
    _, source = read_source(data, max_pixels=max_pixels)
    image = converted(decode(source, draft=2 * size), source)
    return _to_webp(_shrunk(image, source.orientation, size))


def _shrunk(image: Image.Image, orientation: int, size: int = THUMBNAIL_SIDE) -> Image.Image:
    """A small, upright copy of `image`, whose pixels are sRGB and not yet turned."""
    small = _scaled(image, size)
    if small is image:
        small = image.copy()
    return upright(small, orientation)


def _to_webp(small: Image.Image) -> bytes:
    """The result of `_shrunk` as a WebP file, without metadata."""
    small.info = {}
    out = io.BytesIO()
    small.save(out, "WEBP", quality=_WEBP_QUALITY, method=_WEBP_METHOD)
    return out.getvalue()
