"""Pictures of phones and other tools: HEIC, AVIF, GIF, TIFF and BMP."""

import io
import itertools
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from image2model.errors import ImageFailure, ImageTooLarge, ImageTruncated, NotAnImage
from image2model.media.inspect import inspect
from image2model.media.preflight import prepare, thumbnail
from tests.support.pictures import heic, in_mode, marked, picture, scene, swapped_profile, turned

LIMIT = 50_000_000
SIZE = (96, 64)
FORMATS = ("heic", "avif", "gif", "tiff", "bmp")
LOSS = 6.0
"""What a codec with losses may change on average, of 255."""


def sent(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(prepare(data, max_pixels=LIMIT).data))
    image.load()
    return image


def difference(image: Image.Image, expected: Image.Image) -> float:
    assert image.size == expected.size
    left, right = (np.asarray(one.convert("RGBA"), float) for one in (image, expected))
    return float(np.abs(left - right).mean())


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1"])
def test_every_format_arrives_as_it_looks(format: str, mode: str) -> None:  # noqa: A002
    stored = {("gif", "RGB"): "P", ("gif", "RGBA"): "P", ("bmp", "RGBA"): "RGB", ("heic", "P"): "RGB"}
    mode = stored.get((format, mode), mode)
    base = scene(SIZE, 4)
    data = picture(format, SIZE, mode, base=base, quality=95)
    info = inspect(data, max_pixels=LIMIT)
    assert (info.format, info.width, info.height, info.frames) == (format, *SIZE, 1)
    assert info.content_type == f"image/{format}"
    assert difference(sent(data), in_mode(base, mode)) < LOSS
    with Image.open(io.BytesIO(thumbnail(data, size=32, max_pixels=LIMIT))) as small:
        assert max(small.size) == 32


@pytest.mark.parametrize("format", ["gif", "tiff", "avif", "heic"])
def test_first_of_several_counts(format: str) -> None:  # noqa: A002
    base = scene(SIZE, 4)
    data = picture(format, base=base, frames=3, quality=95)
    assert inspect(data, max_pixels=LIMIT).frames == 3
    assert difference(sent(data), base) < LOSS


def test_primary_picture_of_a_heic_counts() -> None:
    first, second = scene((64, 40), 1), scene(SIZE, 2)
    data = heic(first, second, primary=1)
    info = inspect(data, max_pixels=LIMIT)
    assert (info.width, info.height, info.frames) == (*SIZE, 2)
    assert difference(sent(data), second) < LOSS


@pytest.mark.parametrize(
    ("kind", "value"), [*itertools.product([b"irot"], range(4)), *itertools.product([b"imir"], range(2))]
)
@pytest.mark.parametrize("format", ["heic", "avif"])
def test_turn_of_the_container_is_applied_once(format: str, kind: bytes, value: int) -> None:  # noqa: A002
    base = marked(SIZE)
    plain = heic(base) if format == "heic" else picture("avif", base=base, quality=95)
    data = turned(plain, kind, value)
    expected = (
        base.rotate(90 * value, expand=True)
        if kind == b"irot"
        else (ImageOps.flip, ImageOps.mirror)[value](base)
    )
    info = inspect(data, max_pixels=LIMIT)
    assert (info.width, info.height) == expected.size
    assert difference(sent(data), expected) < LOSS


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_a_tiff_is_applied_once(orientation: int) -> None:
    base = marked(SIZE)
    out = io.BytesIO()
    base.save(out, "TIFF", tiffinfo={274: orientation})
    expected = ImageOps.exif_transpose(_with_orientation(base, orientation))
    info = inspect(out.getvalue(), max_pixels=LIMIT)
    assert (info.width, info.height) == expected.size
    assert difference(sent(out.getvalue()), expected) < 1


def _with_orientation(image: Image.Image, orientation: int) -> Image.Image:
    out, exif = io.BytesIO(), Image.Exif()
    exif[274] = orientation
    image.save(out, "PNG", exif=exif)
    return Image.open(io.BytesIO(out.getvalue()))


@pytest.mark.parametrize("format", ["heic", "avif", "tiff"])
def test_profile_inside_counts(format: str) -> None:  # noqa: A002
    base = scene(SIZE, 4)
    data = picture(format, base=base, profile=swapped_profile(), quality=95)
    red, green, blue = base.split()
    assert difference(sent(data), Image.merge("RGB", (blue, green, red))) < 2 * LOSS


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg"])
def test_every_compression_of_a_tiff(compression: str) -> None:
    out = io.BytesIO()
    base = scene(SIZE, 4)
    options = {"quality": 95} if compression == "jpeg" else {}
    base.save(out, "TIFF", compression=compression, **options)
    assert difference(sent(out.getvalue()), base) < LOSS


def test_big_endian_tiff() -> None:
    base, out = scene(SIZE, 4), io.BytesIO()
    _big_endian(base, out)
    assert difference(sent(out.getvalue()), base) < 1


def _big_endian(image: Image.Image, out: io.BytesIO) -> None:
    """Written by hand: Pillow writes little-endian ones only."""
    pixels = image.tobytes()
    entries = [
        (256, 3, image.width), (257, 3, image.height), (258, 3, 8), (259, 3, 1), (262, 3, 2), (273, 4, 8),
        (277, 3, 3), (278, 3, image.height), (279, 4, len(pixels)),
    ]  # fmt: skip
    out.write(b"MM\x00*" + struct.pack(">I", 8 + len(pixels)) + pixels + struct.pack(">H", len(entries)))
    values = (
        struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value) for _, kind, value in entries
    )
    out.writelines(
        struct.pack(">HHI", tag, kind, 1) + packed
        for (tag, kind, _), packed in zip(entries, values, strict=True)
    )
    out.write(bytes(4))


def test_cmyk_tiff_is_not_inverted() -> None:
    base = scene(SIZE, 4)
    out = io.BytesIO()
    base.convert("CMYK").save(out, "TIFF")
    assert difference(sent(out.getvalue()), base) < LOSS


@pytest.mark.parametrize("depth", [16, 32])
def test_wide_tiff_is_brought_to_eight_bits(depth: int) -> None:
    ramp = np.tile(np.linspace(0, 1, 96), (64, 1))
    stored = (
        Image.fromarray((ramp * 65535).astype(np.uint16))
        if depth == 16
        else Image.fromarray(ramp.astype(np.float32))
    )
    out = io.BytesIO()
    stored.save(out, "TIFF")
    assert difference(sent(out.getvalue()), Image.fromarray((ramp * 255).astype(np.uint8))) < 2


@pytest.mark.parametrize("format", FORMATS)
def test_too_many_pixels_are_known_from_the_header(format: str) -> None:  # noqa: A002
    with pytest.raises(ImageTooLarge):
        inspect(picture(format, SIZE), max_pixels=96 * 64 - 1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GIF89a" + bytes(7), "0 × 0"),
        (b"BM" + struct.pack("<IIIIiiHHI", 90, 0, 54, 40, -5, 5, 1, 24, 0) + bytes(99), "-5 × 5"),
        (b"II*\x00" + struct.pack("<IH", 8, 60_000), "too many entries"),
        (struct.pack(">I4s4sI4s", 20, b"ftyp", b"heic", 0, b"mif1"), "Send the whole file"),
        (struct.pack(">I4s4sI4sI4sI", 20, b"ftyp", b"avif", 0, b"mif1", 12, b"meta", 0), "does not say"),
        (struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"mp42") + bytes(40), "a video"),
        (struct.pack(">I4s4sI4s", 20, b"ftyp", b"crx ", 0, b"isom") + bytes(40), "camera raw"),
        (b"BM is not only a BMP: text may begin so", "text"),
    ],
)
def test_damaged_or_other_files_are_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises((NotAnImage, ImageTruncated), match=words):
        inspect(data, max_pixels=LIMIT)


def test_camera_raw_is_refused_with_what_to_do() -> None:
    out = io.BytesIO()
    scene(SIZE, 1).save(out, "TIFF", tiffinfo={50706: b"\x01\x04\x00\x00"})
    with pytest.raises(NotAnImage, match=r"camera raw file\. Develop it"):
        inspect(out.getvalue(), max_pixels=LIMIT)


def test_metadata_of_no_format_reaches_fal() -> None:
    secret = b"secret place"
    exif = Image.Exif()
    exif[0x010E] = secret.decode()
    for format_ in ("avif", "tiff"):
        out = io.BytesIO()
        scene(SIZE, 1).save(out, format_.upper(), exif=exif)
        assert secret in out.getvalue()
        assert secret not in prepare(out.getvalue(), max_pixels=LIMIT).data


def test_broken_pixels_are_unreadable() -> None:
    data = bytearray(picture("heic", SIZE))
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    with pytest.raises(ImageFailure, match="cannot be decoded"):
        prepare(bytes(data), max_pixels=LIMIT)
