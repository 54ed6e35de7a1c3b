"""A picture file cropped to its object and padded to a square, encoded as it is sent to a model.

Every function here decodes pixels: run it in a thread.
"""

from image2model.domain import PictureLimits
from image2model.media.arrange import cropped, padded
from image2model.media.fitting import NO_LIMITS, fitted
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
    part = cropped(picture) if crop else picture
    if not pad_square:
        return encoded(part, lossless=source.lossless, limits=limits)
    longest = max(part.size)
    # made smaller before it is padded: a square has many more pixels
    side = min(fitted((longest, longest), limits))
    square = padded(part, picture, max_pixels=min(max_pixels, side * side))
    return encoded(square, lossless=source.lossless, limits=limits, whole=(longest, longest))
