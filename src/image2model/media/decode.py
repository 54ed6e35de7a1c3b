"""Pixels out of a picture's bytes, the right way up, as 8-bit sRGB.

Called by `preflight` and `thumbnail`, always in a thread. What Pillow raises on broken data leaves as
`ImageFailure`; whatever else it raises is no fault of the picture.
"""

import io
import struct
import zlib

from PIL import Image

from image2model.errors import ImageFailure
from image2model.media.colour import to_srgb
from image2model.media.plain import PlainSource

# Our own limit was checked on the header before; Pillow's would only warn, process-wide, at import.
Image.MAX_IMAGE_PIXELS = None

# What Pillow's plugins raise on broken data. Not MemoryError: that is this machine's fault.
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, ArithmeticError, LookupError, TypeError, AttributeError,
    RuntimeError, struct.error, zlib.error,
)  # fmt: skip
# What it raises where decoded pixels and what the file says of them (transparency, palette) do not agree. The
# rest of the above would be a fault of ours here.
_CONTRADICTORY = (OSError, ValueError, ArithmeticError)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(source: PlainSource, *, draft: int | None = None) -> Image.Image:
    """All pixels of the first frame, in the mode in which they are stored, not yet turned.

    With `draft`, a JPEG may come out smaller by 2, 4 or 8, no side shorter than `draft` pixels.
    Raises ImageFailure `image_unreadable`.
    """
    try:
        image = Image.open(io.BytesIO(source.data), formats=[source.format.upper()])
        if draft is not None:
            image.draft(None, (draft, draft))
        image.load()
    except _BROKEN as error:
        raise unreadable(f"The {source.format.upper()} cannot be decoded ({_words(error)}).") from error
    return image


def converted(image: Image.Image, source: PlainSource) -> Image.Image:
    """Decoded pixels as plain 8-bit sRGB, not yet turned: `image` itself if it is that already.

    Raises ImageFailure `image_unreadable`.
    """
    try:
        return to_srgb(image, source.profile, inverted=source.inverted)
    except _CONTRADICTORY as error:
        raise unreadable(f"The {source.format.upper()} contradicts itself ({_words(error)}).") from error


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The picture as a viewer shows it, by its EXIF orientation (1 to 8)."""
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def unreadable(reason: str) -> ImageFailure:
    """The failure of a picture that no retry can help."""
    advice = "Open it in an image editor, save it as PNG or JPEG, and send that."
    return ImageFailure("image_unreadable", f"{reason} {advice}", retryable=False)


def _words(error: BaseException) -> str:
    text = str(error).split("\n", 1)[0][:120]
    return "no decoder takes it" if "<_io" in text or not text else text
