"""How the first bytes of a picture look, for those who have no more of it yet."""

import struct
from typing import Final

HEAD_BYTES: Final = 12
"""So many are enough."""
HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
GENERIC_BRANDS: Final = frozenset({b"mif1", b"msf1", b"mif2", b"miaf"})
"""HEIF files of either codec begin with these too."""
_SIGNATURES: Final = (
    b"GIF87a",
    b"GIF89a",
    b"II*\x00",
    b"MM\x00*",
    b"II+\x00",
    b"MM\x00+",
)


_BMP_PROBE: Final = 18
_BMP_HEADERS: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
WORDS: Final = "PNG, JPEG, WebP, HEIC, AVIF, GIF, TIFF or BMP"
"""The formats that are accepted, for messages."""


def may_be_picture(head: bytes) -> bool:
    """Whether `HEAD_BYTES` or more of the beginning may be that of a file of a format that is accepted."""
    if is_png_jpeg_or_webp(head) or head.startswith(_SIGNATURES):
        return True
    if head.startswith(b"BM"):
        return len(head) < _BMP_PROBE or is_bmp(head)
    return head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS | AVIF_BRANDS | GENERIC_BRANDS


def is_png_jpeg_or_webp(head: bytes) -> bool:
    """Whether the first `HEAD_BYTES` begin a file of one of these formats."""
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (
        head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    )


def is_bmp(data: bytes | bytearray) -> bool:
    """Whether it begins like a BMP: the two letters alone would take any text for one."""
    return (
        data.startswith(b"BM")
        and len(data) >= _BMP_PROBE
        and struct.unpack_from("<I", data, 14)[0] in _BMP_HEADERS
    )
