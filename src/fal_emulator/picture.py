"""Reads a submitted picture: upright, on white, small enough for a texture.

Called in a worker thread by the model builder. Pillow does the decoding; nothing here touches the network.
"""

import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 120_000_000
"""Larger pictures are refused at the header, before any pixel is decoded."""

_ORIENTATION = 0x0112
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")


class PictureError(Exception):
    """The bytes are no picture that can be decoded; the message says why."""


class Picture(msgspec.Struct, frozen=True):
    """`texture` is an RGB image no larger than asked; `width` and `height` are the original's, upright."""

    texture: Image.Image
    width: int
    height: int


def read_picture(data: bytes, longest: int) -> Picture:
    """Decodes `data`; the texture is at most `longest` pixels on its long side.

    Raises PictureError for anything that Pillow cannot decode whole.
    """
    with _decoding():
        return _read(data, longest)


def size_of_picture(data: bytes) -> tuple[int, int]:
    """Width and height as it is stored, by its header. Raises PictureError."""
    with _decoding(), Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
        return opened.size


def read_whole(data: bytes) -> Image.Image:
    """Decodes `data` at its own size, upright, with its alpha: RGBA. Raises PictureError."""
    with _decoding(), Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
        _check_size(opened)
        opened.load()
        return ImageOps.exif_transpose(_eight_bits(opened)).convert("RGBA")


@contextmanager
def _decoding() -> Iterator[None]:
    """Pillow's errors become PictureError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is no reason to refuse a picture
            yield
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise PictureError(str(error) or "not an image") from error
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise PictureError(f"the image cannot be decoded: {error}") from error


def _check_size(opened: Image.Image) -> None:
    if opened.width * opened.height > MAX_PIXELS:
        raise PictureError(f"{opened.width} x {opened.height} pixels are too many")


def drawing(subject: bytes) -> bytes:
    """A PNG for what comes without a picture, as words and models do: always the same for the same
    subject."""
    side = 8
    colours = hashlib.shake_256(subject).digest(3 * side * side)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (side, side), colours).resize((64, 64)).save(buffer, "PNG")
    return buffer.getvalue()


def _read(data: bytes, longest: int) -> Picture:
    with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
        _check_size(opened)
        width, height = opened.size
        turned = opened.getexif().get(_ORIENTATION, 1)
        if turned in {5, 6, 7, 8}:
            width, height = height, width
        opened.draft("RGB", (longest, longest))  # JPEG: decodes at an eighth to full size, as needed
        opened.load()
        small = _shrink(_eight_bits(opened), longest)
    upright = ImageOps.exif_transpose(small) if turned != 1 else small
    return Picture(_on_white(upright), width, height)


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit and float grey scaled to 8 bits: Pillow's own conversion would clip them."""
    if not image.mode.startswith(("I", "F")):
        return image
    extrema = image.getextrema()
    high = extrema[1] if isinstance(extrema[1], (int, float)) else 0
    scale = 255 / 65535 if image.mode.startswith("I") else 255 / (high or 1)
    exif = image.info.get("exif")
    grey = image.convert("F").point(lambda value: value * scale).convert("L")
    if exif is not None:
        grey.info["exif"] = exif
    return grey


def _shrink(image: Image.Image, longest: int) -> Image.Image:
    factor = longest / max(image.size)
    if image.mode in {"P", "1"}:
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if factor >= 1:
        return image
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in {"LA", "La", "PA"}:
        image = image.convert("RGBA")
    if image.mode != "RGBA":
        return image if image.mode == "RGB" else image.convert("RGB")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=image.getchannel("A"))
    return white
