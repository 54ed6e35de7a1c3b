"""A PNG of 16 bits a sample as two of 8 bits: one of the upper bytes, one of the lower.

Pillow cuts 16-bit colours to 8 bits, and then cannot tell the transparent colour of a tRNS chunk from its
neighbours. A PNG filters each byte by the same byte of the pixels beside it, so the bytes can be parted
before anything is decoded. Source: the W3C's PNG specification, "Filtering" and "Interlacing".
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

from image2model.errors import ImageTruncated
from image2model.media.picture import Span

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PASSES: Final = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip
"""Adam7: first column, first row, and the steps between them."""
_FAST: Final = 1


def split(
    data: bytes | bytearray,
    chunks: Sequence[Span],
    *,
    width: int,
    height: int,
    channels: int,
    interlaced: bool,
) -> tuple[bytes, bytes]:
    """The PNG of the upper bytes and the one of the lower. `chunks`: the spans of all IDAT chunks.

    Raises ImageTruncated where the pixels are not all there.
    """
    colour = 0 if channels == 1 else 2
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, int(interlaced))
    upper, lower = zlib.compressobj(_FAST), zlib.compressobj(_FAST)
    packed: tuple[list[bytes], list[bytes]] = ([], [])
    for row in _rows(_inflated(data, chunks), _lengths(width, height, channels, interlaced=interlaced)):
        packed[0].append(upper.compress(row[:1] + row[1::2]))
        packed[1].append(lower.compress(row[:1] + row[2::2]))
    packed[0].append(upper.flush())
    packed[1].append(lower.flush())
    first, second = (
        _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"".join(parts)) + _chunk(b"IEND", b"")
        for parts in packed
    )
    return first, second


def _lengths(width: int, height: int, channels: int, *, interlaced: bool) -> Iterator[int]:
    """The bytes of each row, its filter's included."""
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    for column, row, across, down in passes:
        columns, rows = -(-(width - column) // across), -(-(height - row) // down)
        if columns > 0:
            for _ in range(rows):
                yield 1 + 2 * channels * columns


def _inflated(data: bytes | bytearray, chunks: Sequence[Span]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj()
    view = memoryview(data)
    try:
        for start, end in chunks:
            yield unpacker.decompress(view[start + 8 : end - 4])
    except zlib.error as error:
        raise ImageTruncated(
            "The PNG is damaged: its pixels cannot be unpacked. Save the picture again."
        ) from error


def _rows(pieces: Iterator[bytes], lengths: Iterator[int]) -> Iterator[bytes]:
    held = bytearray()
    for length in lengths:
        while len(held) < length:
            piece = next(pieces, None)
            if piece is None:
                raise ImageTruncated("The PNG ends inside its pixels. Send the whole file.")
            held += piece
        yield bytes(held[:length])
        del held[:length]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
