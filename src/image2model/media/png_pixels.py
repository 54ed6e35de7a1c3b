"""Whether all pixels of a PNG are there, without making a picture of them.

What is sent as it came need not be decoded: undoing the filters of its lines, most of a decoder's work,
cannot fail. Only plain PNGs are judged here; of any other a decoder has to say what is wrong.
"""

import zlib

from image2model.errors import FileProblem
from image2model.media import png

_CHANNELS = {png.COLOUR_RGB: 3, png.COLOUR_RGBA: 4}
_MOST_FILTER = 4
"""Each line begins with the number of its filter, 0 to 4."""


def is_whole(data: bytes) -> bool:
    """Whether this is an RGB or RGBA PNG of 8 bits whose compressed lines are exactly those of its header.

    False says nothing: it may be of another kind. It holds all lines in memory. Call it in a thread.
    """
    try:
        layout = png.read_png(data)
    except FileProblem:
        return False
    channels = _CHANNELS.get(layout.colour)
    kinds = [data[start + 4 : start + 8] for start, _ in layout.critical]
    plain = kinds == [b"IHDR", *[b"IDAT"] * (len(kinds) - 2), b"IEND"]
    methods = data[26:28]  # of compression and filtering
    if channels is None or layout.depth != 8 or layout.interlaced or not plain or any(methods):
        return False
    packed = b"".join([data[start + 8 : end - 4] for start, end in layout.critical[1:-1]])
    line = 1 + layout.width * channels
    size = line * layout.height
    stream = zlib.decompressobj()
    try:
        lines = stream.decompress(packed, size + 1)
    except zlib.error:
        return False
    whole = stream.eof and not stream.unused_data and len(lines) == size
    return whole and max(lines[::line]) <= _MOST_FILTER
