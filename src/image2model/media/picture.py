"""The facts about a picture that its structure gives: format, dimensions, orientation.

Plain data: it never holds pixels or a reference to the upload's bytes.
"""

import struct
from typing import Literal

import msgspec

from image2model.media.heads import WORDS

PictureFormat = Literal["png", "jpeg", "webp", "heic", "avif", "gif", "tiff", "bmp"]
Span = tuple[int, int]
"""A part of a file: its first byte, and one past its last."""
MAX_PROFILE_BYTES = 4 * 1024 * 1024
"""The largest colour profile that is used."""
# EXIF orientations that a viewer shows turned by a quarter, so width and height swap.
QUARTER_TURNS = frozenset({5, 6, 7, 8})
ACCEPTED = f"Send a {WORDS} file."
_SUFFIXES: dict[PictureFormat, str] = {"jpeg": "jpg"}
_ORIENTATION_TAG = 0x0112
_SHORT = 3
_MAX_ENTRIES = 512


class PictureInfo(msgspec.Struct, frozen=True):
    """A picture by its header. `width` and `height` are pixels as a viewer shows them (EXIF applied)."""

    format: PictureFormat
    width: int
    height: int
    orientation: int = 1
    frames: int = 1
    """Pictures in the file, of which the first counts; of a HEIC the primary one."""

    @property
    def content_type(self) -> str:
        """The MIME type of the bytes, whatever the client claimed."""
        return f"image/{self.format}"

    @property
    def suffix(self) -> str:
        """The file name's ending, without the dot."""
        return _SUFFIXES.get(self.format, self.format)


def picture_info(
    format: PictureFormat,  # noqa: A002 - the name of the field
    width: int,
    height: int,
    *,
    orientation: int = 1,
    frames: int = 1,
) -> PictureInfo:
    """A `PictureInfo` from *stored* dimensions, which a quarter turn swaps."""
    if orientation in QUARTER_TURNS:
        width, height = height, width
    return PictureInfo(format, width, height, orientation, frames)


def orientation_of(tiff: bytes) -> int:
    """EXIF orientation 1 to 8 of a TIFF block (from its byte-order mark on); 1 if absent or damaged."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        return _first_directory(tiff, order)
    except struct.error:
        return 1


def _first_directory(tiff: bytes, order: str) -> int:
    magic, start = struct.unpack_from(order + "HI", tiff, 2)
    if magic != 42:
        return 1
    (count,) = struct.unpack_from(order + "H", tiff, start)
    for entry in range(min(count, _MAX_ENTRIES)):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, start + 2 + 12 * entry)
        if tag == _ORIENTATION_TAG:
            return value if kind == _SHORT and 1 <= value <= 8 else 1
    return 1
