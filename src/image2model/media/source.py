"""The door to a picture's bytes for whoever decodes them: preflight and thumbnails."""

from image2model.errors import FileProblem, ImageFailure
from image2model.media.picture import PictureInfo
from image2model.media.plain import PlainSource, plain_source
from image2model.media.sniff import contiguous, inspect


def read_source(data: bytes | bytearray, *, max_pixels: int) -> tuple[PictureInfo, PlainSource]:
    """The picture's structure and its own bytes. Raises ImageFailure `image_unreadable`."""
    try:
        info = inspect(data, max_pixels=max_pixels)
        return info, plain_source(contiguous(data), info)
    except FileProblem as problem:
        raise ImageFailure("image_unreadable", problem.detail, retryable=False) from problem
