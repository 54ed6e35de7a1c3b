"""How the first bytes of a picture look, for those who have no more of it yet."""

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
    b"BM",
)


def may_be_picture(head: bytes) -> bool:
    """Whether the first `HEAD_BYTES` may begin a file of a format that is accepted."""
    if is_png_jpeg_or_webp(head) or head.startswith(_SIGNATURES):
        return True
    return head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS | AVIF_BRANDS | GENERIC_BRANDS


def is_png_jpeg_or_webp(head: bytes) -> bool:
    """Whether the first `HEAD_BYTES` begin a file of one of these formats."""
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (
        head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    )
