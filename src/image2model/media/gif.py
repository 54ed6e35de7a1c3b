"""Reads the structure of a GIF: its blocks, never its pixels.

Source: the GIF89a specification. The cost is one step for each block of up to 255 bytes.
"""

import struct
from typing import Final

from image2model.errors import ImageTruncated, NotAnImage
from image2model.media.picture import PictureInfo, picture_info

SIGNATURES: Final = (b"GIF87a", b"GIF89a")
_EXTENSION, _PICTURE, _END = 0x21, 0x2C, 0x3B
_MAX_BLOCKS: Final = 500_000


def inspect_gif(data: bytes | bytearray) -> PictureInfo:
    """The canvas of a GIF whose first frame is complete. Raises ImageTruncated or NotAnImage."""
    if len(data) < 13:
        raise ImageTruncated("The GIF ends inside its header. Send the whole file.")
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    if not width or not height:
        raise NotAnImage(f"The GIF says it is {width} × {height} pixels. Save the picture again.")
    return picture_info("gif", width, height, frames=_count_frames(data, 13 + _palette(flags)))


def _palette(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _count_frames(data: bytes | bytearray, position: int) -> int:
    """The complete frames, one at least. What is cut off behind the first is left out, as viewers do."""
    frames = 0
    steps = 0
    size = len(data)
    while position < size and data[position] != _END:
        kind = data[position]
        if kind == _EXTENSION:
            position += 2
        elif kind == _PICTURE and position + 10 < size:
            position += 11 + _palette(data[position + 9])
        else:
            break
        while position < size and data[position]:
            position += 1 + data[position]
            steps += 1
            if steps > _MAX_BLOCKS:
                raise NotAnImage(f"The GIF has more than {_MAX_BLOCKS:,} blocks. Save the picture again.")
        position += 1
        if position > size:
            break
        frames += kind == _PICTURE
    if not frames:
        raise ImageTruncated("The GIF ends before its first picture is complete. Send the whole file.")
    return frames
