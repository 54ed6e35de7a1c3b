"""Checks the structure of an uploaded picture: its format, its dimensions, and whether it is complete.

Neither name nor content type decides, only the bytes. This runs on the event loop, so it decodes no pixels
and costs no more than a header and a search in C code. A picture that passes can still hold broken pixels:
`preflight` in the worker finds those.
"""

import re

from image2model.errors import ImageTooLarge, ImageTruncated, NotAnImage
from image2model.media import bmp, gif, jpeg, png, tiff, webp
from image2model.media.bmff import inspect_bmff, kind_of
from image2model.media.heads import is_bmp
from image2model.media.picture import ACCEPTED, PictureInfo

_JPEG = b"\xff\xd8\xff"
_SIGNATURES = (png.SIGNATURE, _JPEG, *gif.SIGNATURES, *tiff.SIGNATURES)
_MAGIC: tuple[tuple[bytes, str], ...] = (
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
_SVG = re.compile(rb"<svg[\s>]", re.IGNORECASE)
_HTML = re.compile(rb"<(!doctype\s+html|html)", re.IGNORECASE)
_PROBE_BYTES = 1024


def inspect(data: bytes | bytearray | memoryview, *, max_pixels: int) -> PictureInfo:
    """Format and shown dimensions of a whole picture, from its structure alone.

    Raises NotAnImage (another format, empty, damaged header), ImageTruncated (the end is missing) and
    ImageTooLarge (more than `max_pixels` pixels, known from the header).
    """
    info = _read(contiguous(data))
    if info.width * info.height > max_pixels:
        raise ImageTooLarge(
            f"The picture has {info.width:,} × {info.height:,} pixels; at most {max_pixels:,} in all "
            "are accepted. Make it smaller."
        )
    return info


def contiguous(data: bytes | bytearray | memoryview) -> bytes | bytearray:
    """The same bytes as an object with `find`; copied only for a view on a part of its owner."""
    if not isinstance(data, memoryview):
        return data
    owner = data.obj
    if isinstance(owner, bytes | bytearray) and data.c_contiguous and data.nbytes == len(owner):
        return owner
    return data.tobytes()


def _read(data: bytes | bytearray) -> PictureInfo:
    if data.startswith(png.SIGNATURE):
        return png.inspect_png(data)
    if data.startswith(_JPEG):
        return jpeg.inspect_jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return webp.inspect_webp(data)
    if data.startswith(gif.SIGNATURES):
        return gif.inspect_gif(data)
    if data.startswith(tiff.SIGNATURES):
        return tiff.inspect_tiff(data)
    if is_bmp(data):
        return bmp.inspect_bmp(data)
    if kind_of(data) is not None:
        return inspect_bmff(data)
    raise _refusal(data)


def _refusal(data: bytes | bytearray) -> NotAnImage | ImageTruncated:
    if not data:
        return NotAnImage(f"The file is empty. {ACCEPTED}")
    head = bytes(data[:1024])
    if any(signature.startswith(head) for signature in _SIGNATURES) or _cut_riff(head):
        return ImageTruncated(f"The file ends after {len(data)} bytes. Send the whole file.")
    return NotAnImage(f"The file looks like {file_type_hint(head)}. {ACCEPTED}")


def _cut_riff(head: bytes) -> bool:
    return len(head) < 12 and head.startswith(b"RIFF"[: len(head)]) and b"WEBP".startswith(head[8:12])


def file_type_hint(head: bytes) -> str:
    """A noun phrase for a file by its first bytes, such as "a GIF" or "text"."""
    head = head[:_PROBE_BYTES]
    if head[4:8] == b"ftyp":
        return "a camera raw file" if head[8:11] == b"crx" else "a video"
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
        return "an unknown format"
    text = head.decode("utf-8", errors="ignore")
    printable = sum(char.isprintable() or char in "\r\n\t\f" for char in text)
    # Most random bytes are lost in decoding; a character cut off at the probe's end loses a few bytes.
    is_text = len(text.encode()) > 0.9 * len(head) and printable > 0.95 * len(text)
    return "text" if is_text else "an unknown format"
