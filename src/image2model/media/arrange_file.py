"""A picture file cropped to its object and padded to a square, encoded as it is sent to a model.

Every function here decodes pixels: run it in a thread.
"""

from image2model.domain import PictureLimits
from image2model.media.arrange import arrange
from image2model.media.fitting import NO_LIMITS
from image2model.media.pixels import converted, decode, upright
from image2model.media.preflight import Prepared, encoded, prepare
from image2model.media.source import read_source


def arrange_file(
    data: bytes, *, max_pixels: int, crop: bool, pad_square: bool, limits: PictureLimits = NO_LIMITS
) -> Prepared:
    """The file as PNG or JPEG, 8-bit sRGB, upright, without metadata; arranged by its shown sides, and then
    made to fit within `limits`.

    With neither `crop` nor `pad_square` it is what `prepare` makes of it. Raises ImageFailure
    `image_unreadable` (not retryable).
    """
    if not crop and not pad_square:
        return prepare(data, max_pixels=max_pixels, limits=limits)
    _, source = read_source(data, max_pixels=max_pixels)
    picture = upright(converted(decode(source), source), source.orientation)
    arranged = arrange(picture, crop=crop, pad_square=pad_square, max_pixels=max_pixels)
    return encoded(arranged, lossless=source.lossless, limits=limits)
