"""What the door lets in and what it refuses, by structure alone."""

import os
import struct
import time

import pytest

from image2model.errors import ImageTooLarge, ImageTruncated, NotAnImage
from image2model.media.inspect import inspect
from tests.support.pictures import (
    chunk,
    jpeg_bomb,
    photo_set,
    picture,
    png_bomb,
    scene,
    webp_bomb,
    wide_png,
)

LIMIT = 50_000_000
SIZE = (48, 32)

WHOLE = {
    "png": (picture("png", SIZE), "png"),
    "png text": (picture("png", SIZE, text=True, gps=True), "png"),
    "png interlaced": (picture("png", SIZE, interlaced=True), "png"),
    "png trailing": (picture("png", SIZE, trailing=b"garbage"), "png"),
    "png 16 bit": (wide_png(scene(SIZE, 1), "RGBA"), "png"),
    "apng": (picture("png", SIZE, frames=3), "png"),
    "jpeg": (picture("jpeg", SIZE), "jpeg"),
    "jpeg progressive": (picture("jpeg", SIZE, progressive=True), "jpeg"),
    "jpeg cmyk": (picture("jpeg", SIZE, "CMYK"), "jpeg"),
    "jpeg grey": (picture("jpeg", SIZE, "L"), "jpeg"),
    "jpeg restarts": (picture("jpeg", SIZE, restart=1), "jpeg"),
    "jpeg with thumbnail": (picture("jpeg", SIZE, exif_thumbnail=True, gps=True), "jpeg"),
    "jpeg trailing": (picture("jpeg", SIZE, trailing=b"\x00" * 999 + b"camera \xff\xff data"), "jpeg"),
    "jpeg comment": (picture("jpeg", SIZE, text=True), "jpeg"),
    "mpo": (picture("mpo", SIZE), "jpeg"),
    "webp": (picture("webp", SIZE), "webp"),
    "webp lossless": (picture("webp", SIZE, lossless=True), "webp"),
    "webp alpha": (picture("webp", SIZE, "RGBA"), "webp"),
    "webp extended": (picture("webp", SIZE, gps=True), "webp"),
    "webp animated": (picture("webp", SIZE, frames=3), "webp"),
    "webp trailing": (picture("webp", SIZE, trailing=b"xx"), "webp"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_picture_is_taken_with_its_format_and_size(name: str) -> None:
    data, expected = WHOLE[name]
    for held in (data, bytearray(data), memoryview(data), memoryview(b"ab" + data + b"")[2:]):
        info = inspect(held, max_pixels=LIMIT)
        assert (info.format, info.width, info.height) == (expected, *SIZE)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_size_is_as_a_viewer_shows_it(format: str, orientation: int) -> None:  # noqa: A002
    info = inspect(picture(format, SIZE, orientation=orientation), max_pixels=LIMIT)
    assert (info.width, info.height) == (SIZE if orientation < 5 else SIZE[::-1])


def test_motion_is_noticed() -> None:
    assert inspect(WHOLE["apng"][0], max_pixels=LIMIT).frames == 3
    assert inspect(WHOLE["webp animated"][0], max_pixels=LIMIT).frames == 3
    assert inspect(WHOLE["png"][0], max_pixels=LIMIT).frames == 1


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "empty"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG"),
        (b"just some words, nothing else\n", "text"),
        ("Grüße aus Köln, ganz ohne Bild\n".encode() * 60, "text"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"%PDF-1.7 ...", "a PDF"),
        (bytes(range(256)) * 8, "an unknown format"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "an unknown format"),
    ],
)
def test_other_file_is_refused_by_its_name_and_says_what_is_taken(data: bytes, name: str) -> None:
    with pytest.raises(NotAnImage) as refused:
        inspect(data, max_pixels=LIMIT)
    assert name in refused.value.detail
    assert "PNG, JPEG, WebP, HEIC" in refused.value.detail


@pytest.mark.parametrize("bomb", [png_bomb, jpeg_bomb, webp_bomb])
def test_bomb_is_refused_by_its_header(bomb: type) -> None:
    with pytest.raises(ImageTooLarge, match="50,000,000"):
        inspect(bomb(), max_pixels=LIMIT)


def test_limit_is_inclusive() -> None:
    assert inspect(WHOLE["png"][0], max_pixels=48 * 32)
    with pytest.raises(ImageTooLarge):
        inspect(WHOLE["png"][0], max_pixels=48 * 32 - 1)


def test_larger_picture_inside_a_small_webp_canvas_is_refused() -> None:
    inner = webp_bomb()[12:]
    canvas = struct.pack("<4sI4x3s3s", b"VP8X", 10, b"\x0f\x00\x00", b"\x0f\x00\x00")
    body = b"WEBP" + canvas + inner
    with pytest.raises(ImageTooLarge):
        inspect(b"RIFF" + struct.pack("<I", len(body)) + body, max_pixels=LIMIT)


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0)) + b"\x00" * 30,
        b"\x89PNG\r\n\x1a\n" + chunk(b"tEXt", b"a\x00b" * 20),
        b"\xff\xd8\xff\xdb\x00\x00" + b"\x00" * 30,
        b"\xff\xd8" + b"\xff\xda\x00\x08" + b"\x00" * 6 + b"\xff\xd9",
    ],
)
def test_nonsense_behind_a_good_signature_is_no_image(data: bytes) -> None:
    with pytest.raises(NotAnImage):
        inspect(data, max_pixels=LIMIT)


def test_png_without_pixels_is_truncated() -> None:
    header = struct.pack(">IIBBBBB", 5, 5, 8, 2, 0, 0, 0)
    with pytest.raises(ImageTruncated):
        inspect(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b""), max_pixels=LIMIT)


HOSTILE = {
    "fill bytes": b"\xff\xd8" + b"\xff" * 16_000_000,
    "tiny segments": b"\xff\xd8" + b"\xff\xe5\x00\x02" * 4_000_000,
    "tiny scans": picture("jpeg", SIZE)[:-2] + b"\xff\xc4\x00\x02" * 4_000_000,
    "tiny chunks": picture("png", SIZE)[:33] + chunk(b"tEXt", b"") * 1_300_000,
    "tiny riff": b"RIFF" + struct.pack("<I", 16_000_004) + b"WEBP" + b"JUNK\x00\x00\x00\x00" * 2_000_000,
    "no marker": picture("jpeg", SIZE)[:-2] + b"\x00" * 16_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_costs_little(name: str) -> None:
    started = time.process_time()
    with pytest.raises((NotAnImage, ImageTruncated)):
        inspect(HOSTILE[name], max_pixels=LIMIT)
    assert time.process_time() - started < 0.5


def test_sixteen_megabytes_are_inspected_without_reading_them() -> None:
    small = picture("jpeg", (1000, 800))
    scan = small.index(b"\xff\xda")
    start = scan + 2 + int.from_bytes(small[scan + 2 : scan + 4], "big")
    data = small[:start] + os.urandom(16_000_000).replace(b"\xff", b"\xfe") + b"\xff\xd9"
    best = min(_seconds(data) for _ in range(5))
    assert best < 0.002


def _seconds(data: bytes) -> float:
    started = time.perf_counter()
    inspect(data, max_pixels=LIMIT)
    return time.perf_counter() - started


def test_photo_set_is_different_and_whole() -> None:
    photos = photo_set(20)
    assert len({name for name, _ in photos}) == len({data for _, data in photos}) == 20
    for _, data in photos:
        inspect(data, max_pixels=LIMIT)
