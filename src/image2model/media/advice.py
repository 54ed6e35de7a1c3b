"""Warns of pictures that will hardly become a good model, before anything is bought.

Cheap measures on a small copy. A warning on a good picture is worse than none on a bad one, so each speaks up
only where it is sure. They refuse nothing. Everything here decodes pixels: run it in a thread.
"""

from enum import StrEnum
from typing import Final

import msgspec
from PIL import Image

from image2model.errors import ImageFailure
from image2model.media.arrange import has_clear_pixels, object_box
from image2model.media.parts import has_several_objects
from image2model.media.picture import PictureInfo
from image2model.media.pixels import converted, decode, upright
from image2model.media.source import StrippedSource, read_source
from image2model.media.text_lines import text_share


class AdviceCode(StrEnum):
    """What may be wrong with a picture."""

    TINY = "tiny"
    UNIFORM = "uniform"
    TEXT = "text"
    SEVERAL_OBJECTS = "several_objects"


class Advice(msgspec.Struct, frozen=True):
    """One warning: what is wrong, and what to do."""

    code: AdviceCode
    message: str


# A JPEG is decoded to at least this on its shorter side, every picture is then scaled to at most that on its
# longer side: letters of a screenshot are still some pixels high.
_DRAFT_SIDE: Final = 512
_SIDE: Final = 1280
_SMALL_SIDE: Final = 256
# Models look at 512 to 1,024 pixels.
_TINY: Final = 128
# The span of brightness and colour that holds all but this share of the pixels at either end.
_UNIFORM: Final = 10
_OUTLIERS: Final = 0.005
_TEXT: Final = 0.25
# Bytes that decoding may take. A JPEG of several scans is kept whole, three bytes a pixel, whatever its draft.
_MAX_BYTES: Final = 160_000_000
_BYTES: Final = {"jpeg": 3}
_BYTES_ELSE: Final = 4


def advice(data: bytes, *, max_pixels: int) -> tuple[Advice, ...]:
    """The warnings about a picture. None for one that cannot be decoded, or would take too much memory."""
    try:
        info, source = read_source(data, max_pixels=max_pixels)
        if max(info.width, info.height) < _TINY:
            return (_tiny(info.width, info.height),)
        if info.width * info.height * _BYTES.get(info.format, _BYTES_ELSE) > _MAX_BYTES:
            return ()
        image = _small(source)
    except ImageFailure:
        return ()
    return advice_on(image, info)
