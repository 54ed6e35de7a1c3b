"""Names what a refused file looks like, so that its owner knows what went wrong.

Called by `sniff` once no accepted format matched. It only words an error: nothing is decided by it.
"""

import re

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\x00", "a TIFF or camera raw file"),
    (b"MM\x00*", "a TIFF or camera raw file"),
    (b"8BPS", "a Photoshop document"),
    (b"%PDF", "a PDF"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"glTF", "a GLB model"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", "a video"),
)
_BRANDS = {
    b"avif": "an AVIF",
    b"avis": "an AVIF",
    b"heic": "a HEIC",
    b"heix": "a HEIC",
    b"hevc": "a HEIC",
    b"heim": "a HEIC",
    b"mif1": "a HEIF",
    b"msf1": "a HEIF",
}
_SVG = re.compile(rb"<svg[\s>]", re.IGNORECASE)
_HTML = re.compile(rb"<(!doctype\s+html|html)", re.IGNORECASE)
_PROBE_BYTES = 1024


def looks_like(head: bytes) -> str:
    """A noun phrase for a file by its first bytes, such as "a GIF" or "text"."""
    head = head[:_PROBE_BYTES]
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "a video")
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    return _text_like(head)


def _text_like(head: bytes) -> str:
    if _SVG.search(head):
        return "an SVG drawing"
    if _HTML.search(head):
        return "a web page"
    if b"\x00" in head:
        return "no picture format that is known"
    text = head.decode("utf-8", errors="ignore")
    printable = sum(char.isprintable() or char in "\r\n\t\f" for char in text)
    # Random bytes lose most of themselves in decoding; a character cut at the probe's end loses a few.
    is_text = len(text.encode()) > 0.9 * len(head) and printable > 0.95 * len(text)
    return "text" if is_text else "no picture format that is known"
