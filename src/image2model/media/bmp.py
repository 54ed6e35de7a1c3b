"""Reads the header of a BMP, never its pixels. Source: the Windows GDI documentation of bitmap headers."""

import struct
from typing import Final

from image2model.errors import ImageTruncated, NotAnImage
from image2model.media.picture import PictureInfo, picture_info

_CORE_HEADER: Final = 12
_UNCOMPRESSED: Final = frozenset({0, 3, 6})


def inspect_bmp(data: bytes | bytearray) -> PictureInfo:
    """The picture of a BMP that is complete. Raises ImageTruncated or NotAnImage."""
    start, header = struct.unpack_from("<I", data, 10)[0], struct.unpack_from("<I", data, 14)[0]
    if len(data) < 14 + header:
        raise ImageTruncated("The BMP ends inside its header. Send the whole file.")
    if header == _CORE_HEADER:
        width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, depth = struct.unpack_from("<iiHH", data, 18)
        compression = struct.unpack_from("<I", data, 30)[0] if header >= 40 else 0
    height = abs(height)
    if width <= 0 or not height:
        raise NotAnImage(f"The BMP says it is {width} × {height} pixels. Save the picture again.")
    row = (width * depth + 31) // 32 * 4
    needed = start + (row * height if compression in _UNCOMPRESSED else 1)
    if needed > len(data):
        raise ImageTruncated("The BMP ends inside its pixels. Send the whole file.")
    return picture_info("bmp", width, height)
