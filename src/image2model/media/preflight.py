"""Prepares a picture for FAL, and makes thumbnails: upright, 8-bit sRGB, without metadata, within limits.

A JPEG that is to become smaller is decoded smaller. Every function here decodes pixels: run it in a thread.
"""

import io
from math import sqrt
from typing import Final

import msgspec
from PIL import Image

from image2model.domain import PictureLimits
from image2model.media import png_pixels
from image2model.media.fitting import NO_LIMITS, Size, fitted, resized, scaled_size, turned
from image2model.media.picture import QUARTER_TURNS, PictureInfo
from image2model.media.pixels import converted, decode_fitted, unreadable, upright
from image2model.media.source import StrippedSource, read_source

THUMBNAIL_SIDE: Final = 256
_WEBP_QUALITY = 80
_WEBP_METHOD = 0  # of 0 to 6: a third of the default's time for a quarter more bytes, which are few
# Decoding such a picture again takes some 10 ms, and most are never looked at: encoding its thumbnail here
# would be a fifth of what a small picture costs a worker.
_EASY_PIXELS = 1_000_000
# A larger opaque picture becomes a JPEG: as a PNG it would be tens of megabytes.
_PNG_MAX_PIXELS = 4_000_000
_PNG_LEVEL = 3
_JPEG_QUALITY = 95
# libjpeg's limit. Of the accepted formats only a PNG can have a longer side.
_JPEG_LIMITS: Final = PictureLimits(max_width=65_500, max_height=65_500)
# A file with too many bytes is encoded again with fewer pixels. Each time it becomes smaller by a little more
# than its bytes ask for, because the finer details that are left take more bytes for each pixel.
_TRIES = 10
_MARGIN = 0.97


class Prepared(msgspec.Struct, frozen=True):
    """A picture ready to be uploaded to FAL. `width` and `height` are pixels, orientation applied.

    `thumbnail` is a WebP file, made here while the pixels are decoded; None for a picture so small that its
    thumbnail is made when it is asked for. `whole` is the size that the picture had before it was made to fit
    within limits.
    """

    data: bytes
    content_type: str
    suffix: str
    width: int
    height: int
    thumbnail: bytes | None
    whole: Size

    @property
    def is_scaled(self) -> bool:
        """Whether it was made smaller."""
        return self.whole != (self.width, self.height)


def prepare(data: bytes, *, max_pixels: int, limits: PictureLimits = NO_LIMITS) -> Prepared:
    """Decode `data` and return it as PNG or JPEG, 8-bit sRGB, upright, without metadata, within `limits`.

    Raises ImageFailure `image_unreadable` (not retryable) with the reason and what to do.
    """
    info, source = read_source(data, max_pixels=max_pixels)
    if _may_go_as_it_is(info, source, limits) and png_pixels.is_whole(source.data):
        size = info.width, info.height
        return Prepared(source.data, info.content_type, info.suffix, *size, None, size)
    stored, whole = decode_fitted(source, limits)
    plain = converted(stored, source)
    is_plain = plain is stored and source.eight_bit_rgb and source.orientation == 1
    if is_plain and stored.size == whole and len(source.data) <= (limits.max_bytes or len(source.data)):
        return _unchanged(source.data, info, stored)
    del stored  # 60 MB at 20 megapixels
    if source.orientation in QUARTER_TURNS:
        plain = resized(plain, fitted(whole, turned(limits)))
        whole = whole[::-1]
    else:
        plain = resized(plain, fitted(whole, limits))
    return _encode(upright(plain, source.orientation), whole, limits, lossless=source.lossless)


def _may_go_as_it_is(info: PictureInfo, source: StrippedSource, limits: PictureLimits) -> bool:
    """Whether neither the file nor its thumbnail has to be made of its pixels, if they are all there."""
    size = info.width, info.height
    plain = source.eight_bit_rgb and source.orientation == 1 and not source.made_profile
    colours = source.profile is None and source.hdr is None and source.lower is None
    easy = info.width * info.height <= _EASY_PIXELS and fitted(size, limits) == size
    fits = len(source.data) <= (limits.max_bytes or len(source.data))
    return source.format == "png" and plain and colours and easy and fits


def encoded(
    image: Image.Image, *, lossless: bool, limits: PictureLimits = NO_LIMITS, whole: Size | None = None
) -> Prepared:
    """A decoded, upright picture in sRGB as a file within `limits`, with its thumbnail.

    `whole`: the size that it had before it was made smaller, where that was done already.
    """
    return _encode(image, whole or image.size, limits, lossless=lossless)


def _unchanged(data: bytes, info: PictureInfo, image: Image.Image) -> Prepared:
    if image.size != (info.width, info.height):
        raise unreadable("The picture does not have the size in its header.")
    return Prepared(data, info.content_type, info.suffix, *image.size, _beside(image, image.size), image.size)


def _encode(image: Image.Image, whole: Size, limits: PictureLimits, *, lossless: bool) -> Prepared:
    image.info = {}  # Pillow would write a comment or a profile found here
    small = _beside(image, whole)
    image = resized(image, fitted(image.size, limits))
    for _ in range(_TRIES):
        image, data, suffix = _file(image, lossless=lossless, most=limits.max_bytes)
        excess = len(data) / (limits.max_bytes or len(data))
        if excess <= 1:
            kind = "image/png" if suffix == "png" else "image/jpeg"
            return Prepared(data, kind, suffix, *image.size, small, whole)
        image = resized(image, scaled_size(image.size, _MARGIN / sqrt(excess), limits))
    raise unreadable(f"No size was found at which the file has at most {limits.max_bytes:,} bytes.")


def _file(image: Image.Image, *, lossless: bool, most: int | None) -> tuple[Image.Image, bytes, str]:
    """The picture, its file, and the file's ending. `most`: a PNG of more bytes becomes a JPEG if it can."""
    out = io.BytesIO()
    if image.mode == "RGBA" or (lossless and image.width * image.height <= _PNG_MAX_PIXELS):
        image.save(out, "PNG", compress_level=_PNG_LEVEL)
        if image.mode == "RGBA" or most is None or out.tell() <= most:
            return image, out.getvalue(), "png"
        out = io.BytesIO()
    image = resized(image, fitted(image.size, _JPEG_LIMITS))
    # 4:4:4: a second subsampling would smear the edges that the model reads.
    image.save(out, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return image, out.getvalue(), "jpg"


def thumbnail(data: bytes, *, size: int = THUMBNAIL_SIDE, max_pixels: int = 50_000_000) -> bytes:
    """A WebP of at most `size` × `size` pixels, upright, in sRGB, never larger than the picture.

    Raises ImageFailure `image_unreadable`.
    """
    _, source = read_source(data, max_pixels=max_pixels)
    limits = PictureLimits(max_width=2 * size, max_height=2 * size)
    image = converted(decode_fitted(source, limits)[0], source)
    return _to_webp(_shrunk(image, source.orientation, size))


def _beside(image: Image.Image, whole: Size) -> bytes | None:
    """The thumbnail of a picture that is decoded to be sent; None where it is made when it is asked for.

    `whole`: the size of the picture, of which `image` may be a smaller one.
    """
    return _to_webp(_shrunk(image, 1)) if whole[0] * whole[1] > _EASY_PIXELS else None


def _shrunk(image: Image.Image, orientation: int, size: int = THUMBNAIL_SIDE) -> Image.Image:
    """A small, upright copy of `image`, whose pixels are sRGB and not yet turned."""
    small = resized(image, fitted(image.size, PictureLimits(max_width=size, max_height=size)))
    if small is image:
        small = image.copy()
    return upright(small, orientation)


def _to_webp(small: Image.Image) -> bytes:
    """The result of `_shrunk` as a WebP file, without metadata."""
    small.info = {}
    out = io.BytesIO()
    small.save(out, "WEBP", quality=_WEBP_QUALITY, method=_WEBP_METHOD)
    return out.getvalue()
