"""Bodies of uploads with good pictures of a wanted size."""

import struct
import zlib

from tests.support.multipart_body import Body
from tests.support.sketches import picture

_LAST_CHUNK = 12
"""Bytes of a PNG's end marker."""


def batch(count: int = 1, *, size: int = 0, seed: int = 0) -> Body:
    """Different pictures; `size` bytes are added to each, as cameras add data of their own."""
    body = Body()
    for number in range(count):
        data = picture(seed + number)
        head, end = data[:-_LAST_CHUNK], data[-_LAST_CHUNK:]
        extra = b"" if not size else _chunk(size)
        body.file(f"{number}.png", head + extra + end)
    return body


def _chunk(size: int) -> bytes:
    payload = b"i2m\0" + bytes(size)
    return (
        struct.pack("!I", len(payload)) + b"prVt" + payload + struct.pack("!I", zlib.crc32(b"prVt" + payload))
    )
