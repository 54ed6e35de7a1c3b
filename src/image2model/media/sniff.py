"""The structure check at the door: what a file is, how large, and whether it is whole.

Called by the upload, on the event loop, so it decodes no pixels and costs no more than a header and a
search by C code. Neither name nor content type decides, only the bytes. What passes here can still hold
broken pixels: `preflight` in the worker finds those.
"""

from image2model.errors import ImageTooLarge, ImageTruncated, NotAnImage
from image2model.media import jpeg, png, webp
from image2model.media.lookalike import looks_like
from image2model.media.picture import ACCEPTED, PictureInfo

_SIGNATURES = (png.SIGNATURE, b"\xff\xd8\xff")


def inspect(data: bytes | bytearray | memoryview, *, max_pixels: int) -> PictureInfo:
    """Format and shown dimensions of a whole picture, from its structure alone.

    Raises NotAnImage (another format, empty, damaged header), ImageTruncated (the end is missing) and
    ImageTooLarge (more than `max_pixels` pixels, known from the header).
    """
    info = _read(contiguous(data))
    if info.width * info.height > max_pixels:
        raise ImageTooLarge(
            f"The picture has {info.width:,} × {info.height:,} pixels; at most {max_pixels:,} in all "
            "are taken. Make it smaller."
        )
    return info


def contiguous(data: bytes | bytearray | memoryview) -> bytes | bytearray:
    """The same bytes as an object with `find`; copied only where a view shows a part of its owner."""
    if not isinstance(data, memoryview):
        return data
    owner = data.obj
    if isinstance(owner, bytes | bytearray) and data.c_contiguous and data.nbytes == len(owner):
        return owner
    return data.tobytes()


def _read(data: bytes | bytearray) -> PictureInfo:
    if data.startswith(png.SIGNATURE):
        return png.inspect_png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return jpeg.inspect_jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return webp.inspect_webp(data)
    raise _refusal(data)


def _refusal(data: bytes | bytearray) -> NotAnImage | ImageTruncated:
    if not data:
        return NotAnImage(f"The file is empty. {ACCEPTED}")
    head = bytes(data[:1024])
    if any(signature.startswith(head) for signature in _SIGNATURES) or _cut_riff(head):
        return ImageTruncated(f"The file ends after {len(data)} bytes. Send the whole file.")
    return NotAnImage(f"The file looks like {looks_like(head)}. {ACCEPTED}")


def _cut_riff(head: bytes) -> bool:
    return len(head) < 12 and head.startswith(b"RIFF"[: len(head)]) and b"WEBP".startswith(head[8:12])
