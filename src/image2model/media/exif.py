"""The orientation out of an EXIF block, and nothing else of it.

Called by the readers of the formats with the TIFF structure that they found. It reads one tag of the
first directory; damaged EXIF counts as none, because no viewer refuses a picture for it.
"""

import struct

_ORIENTATION_TAG = 0x0112
_SHORT = 3
_MAX_ENTRIES = 512


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
