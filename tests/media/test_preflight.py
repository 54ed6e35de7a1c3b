"""What FAL gets: every oddity turned into a plain picture that looks the same."""

import io
import threading
import time
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image

from image2model.errors import ImageFailure
from image2model.media.inspect import inspect
from image2model.media.pixels import converted
from image2model.media.preflight import Prepared, prepare
from image2model.media.source import StrippedSource
from tests.support.pictures import (
    GPS_MARK,
    SECRET,
    chunk,
    in_mode,
    marked,
    photo_set,
    picture,
    png_bomb,
    png_of,
    scene,
    srgb_profile,
    swapped_profile,
)

LIMIT = 50_000_000
SIZE = (96, 64)
# What quantisation of JPEG and WebP may change, on average, of 255.
LOSS = 6.0


def made(data: bytes) -> Prepared:
    return prepare(data, max_pixels=LIMIT)


def opened(prepared: Prepared) -> Image.Image:
    image = Image.open(io.BytesIO(prepared.data))
    image.load()
    assert Image.MIME[image.format or ""] == prepared.content_type
    assert image.size == (prepared.width, prepared.height)
    return image


def difference(image: Image.Image, expected: Image.Image) -> float:
    left, right = np.asarray(image.convert("RGB"), float), np.asarray(expected.convert("RGB"), float)
    return float(np.abs(left - right).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_picture_comes_out_the_right_way_up(format: str, orientation: int) -> None:  # noqa: A002
    upright = marked(SIZE)
    # What a camera stores so that a viewer shows `upright`: the inverse of each orientation's turn.
    turns = Image.Transpose
    inverse = {
        2: turns.FLIP_LEFT_RIGHT, 3: turns.ROTATE_180, 4: turns.FLIP_TOP_BOTTOM, 5: turns.TRANSPOSE,
        6: turns.ROTATE_90, 7: turns.TRANSVERSE, 8: turns.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(inverse[orientation]) if orientation > 1 else upright
    data = picture(format, orientation=orientation, base=stored, quality=95)
    assert difference(opened(made(data)), upright) < LOSS


@pytest.mark.parametrize(
    ("format", "mode"),
    [
        ("png", "RGB"), ("png", "L"), ("png", "LA"), ("png", "RGBA"), ("png", "P"), ("png", "1"),
        ("png", "I;16"), ("png", "RGB;16"), ("png", "RGBA;16"), ("png", "LA;16"), ("png", "L;16"),
        ("jpeg", "RGB"), ("jpeg", "L"), ("jpeg", "CMYK"), ("webp", "RGB"), ("webp", "RGBA"),
    ],
)  # fmt: skip
def test_every_mode_keeps_its_look_and_becomes_plain(format: str, mode: str) -> None:  # noqa: A002
    base = scene(SIZE, 3)
    image = opened(made(picture(format, SIZE, mode, base=base, quality=95)))
    alpha = mode.startswith(("RGBA", "LA"))
    assert image.mode == ("RGBA" if alpha else "RGB")
    narrow = {"I;16": "L"}.get(mode, mode.removesuffix(";16"))
    expected = in_mode(base, narrow)
    # WebP drops colours below full transparency, so only what shows is compared.
    if alpha:
        backdrop = Image.new("RGBA", SIZE, "white")
        image = Image.alpha_composite(backdrop, image)
        expected = Image.alpha_composite(backdrop, expected.convert("RGBA"))
    assert difference(image, expected) < LOSS


def test_transparent_colours_become_alpha() -> None:
    palette = scene(SIZE, 4).quantize(8)
    out = io.BytesIO()
    palette.save(out, "PNG", transparency=bytes([0, 128]))
    image = opened(made(out.getvalue()))
    assert image.mode == "RGBA"
    assert set(np.unique(np.asarray(image)[..., 3])) <= {0, 128, 255}
    rows = b"\x00\x05\x00\xff"[:3] * 1
    grey = png_of(2, 1, 8, 0, rows)
    keyed = grey[:33] + chunk(b"tRNS", b"\x00\x05") + grey[33:]
    assert np.asarray(opened(made(keyed)))[0, :, 3].tolist() == [0, 255]


def test_cmyk_without_adobe_marker_is_not_taken_for_inverted() -> None:
    base = scene(SIZE, 5)
    data = picture("jpeg", SIZE, "CMYK", base=base, quality=95)
    start = data.index(b"\xff\xee")
    length = 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    with_marker = np.asarray(opened(made(data)), float).mean()
    without = np.asarray(opened(made(data[:start] + data[start + length :])), float).mean()
    assert abs(with_marker - np.asarray(base, float).mean()) < 12
    assert abs(with_marker - without) > 20


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_colours_follow_the_embedded_profile(format: str) -> None:  # noqa: A002
    base = Image.new("RGB", SIZE, (220, 40, 30))
    image = opened(made(picture(format, base=base, profile=swapped_profile(), quality=95)))
    red, _, blue = np.asarray(image.convert("RGB"), float).mean((0, 1))
    assert blue > red + 60
    assert "icc_profile" not in image.info


BROKEN_PROFILES = (
    b"broken",
    b"\x00" * 500,
    swapped_profile()[:300],
    swapped_profile()[:16] + b"\xff\xff\xff\xff" + swapped_profile()[20:],
)


@pytest.mark.parametrize("profile", BROKEN_PROFILES)
@pytest.mark.parametrize(("format", "mode"), [("png", "RGBA"), ("jpeg", "RGB"), ("jpeg", "CMYK")])
def test_broken_profile_is_ignored(format: str, mode: str, profile: bytes) -> None:  # noqa: A002
    base = scene(SIZE, 6)
    with_profile = opened(made(picture(format, SIZE, mode, base=base, profile=profile)))
    assert difference(with_profile, opened(made(picture(format, SIZE, mode, base=base)))) == 0


def test_profile_of_another_colour_space_is_ignored() -> None:
    data = picture("jpeg", SIZE, "L", seed=7, profile=swapped_profile())
    assert difference(opened(made(data)), opened(made(picture("jpeg", SIZE, "L", seed=7)))) == 0


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "mpo"])
def test_nothing_private_is_left(format: str) -> None:  # noqa: A002
    data = picture(format, SIZE, gps=True, text=True, orientation=1, trailing=SECRET.encode())
    assert SECRET.encode() in data
    prepared = made(data)
    assert SECRET.encode() not in prepared.data
    assert b"Exif" not in prepared.data
    assert b"eXIf" not in prepared.data
    assert GPS_MARK not in prepared.data
    image = opened(prepared)
    assert not image.getexif()
    assert not {"comment", "exif", "xmp", "icc_profile", "Comment", "mpoffset"} & set(image.info)


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("jpeg", {}), ("jpeg", {"progressive": True}), ("jpeg", {"restart": 2}), ("jpeg", {"gps": True}),
        ("jpeg", {"profile": srgb_profile()}), ("jpeg", {"exif_thumbnail": True}), ("mpo", {}),
        ("png", {}), ("png", {"mode": "RGBA"}), ("png", {"text": True, "gps": True}),
        ("png", {"interlaced": True}), ("png", {"profile": srgb_profile()}), ("png", {"frames": 2}),
    ],
)  # fmt: skip
def test_plain_picture_keeps_its_pixels_bit_for_bit(format: str, options: dict[str, Any]) -> None:  # noqa: A002
    data = picture(format, SIZE, seed=8, **options)
    prepared = made(data)
    with Image.open(io.BytesIO(data)) as before:
        assert difference(opened(prepared), before) == 0
    assert len(prepared.data) <= len(data)


def test_plain_picture_without_metadata_is_the_same_file() -> None:
    data = picture("png", SIZE)
    assert made(data).data == data


def test_only_the_first_frame_is_used() -> None:
    first = opened(made(picture("webp", SIZE, seed=9, frames=3, lossless=True)))
    assert difference(first, scene(SIZE, 9)) < 1
    assert getattr(first, "n_frames", 1) == 1


@pytest.mark.long
def test_large_opaque_png_becomes_a_jpeg_only_if_it_must_change() -> None:
    large = (2100, 2000)
    assert made(picture("png", large)).content_type == "image/png"
    assert made(picture("png", large, orientation=6)).content_type == "image/jpeg"
    assert made(picture("png", (200, 100), orientation=6)).content_type == "image/png"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        png_bomb(),
        png_of(64, 64, 8, 2, b"\x00" * 100),
        png_of(64, 64, 8, 2, b"\x07" * (64 * 193)),
        picture("png", SIZE)[:-40] + b"\x00" * 10 + picture("png", SIZE)[-30:],
        picture("webp", SIZE)[:60] + b"\x00" * 200,
    ],
)
def test_unreadable_picture_fails_with_what_to_do(data: bytes) -> None:
    with pytest.raises(ImageFailure) as failed:
        made(data)
    assert (failed.value.code, failed.value.retryable) == ("image_unreadable", False)
    assert len(failed.value.message) > 20
    assert "0x" not in failed.value.message


def test_size_agrees_with_what_the_door_said() -> None:
    for _, data in photo_set(20):
        info, prepared = inspect(data, max_pixels=LIMIT), made(data)
        assert (info.width, info.height) == (prepared.width, prepared.height)


def test_threads_do_not_disturb_each_other() -> None:
    photos = [data for _, data in photo_set(20)]
    alone = [made(data) for data in photos]
    before = threading.active_count()
    with warnings.catch_warnings(record=True) as caught, ThreadPoolExecutor(4) as pool:
        warnings.simplefilter("always")
        together = list(pool.map(made, photos * 3))
    assert together == alone * 3
    assert not caught
    assert threading.active_count() == before


def test_small_picture_costs_little() -> None:
    for format in ("png", "jpeg"):  # noqa: A001
        data = picture(format, (256, 256))
        made(data)
        costs = []
        for _ in range(7):
            started = time.thread_time()
            made(data)
            costs.append(time.thread_time() - started)
        assert min(costs) < 0.004


@pytest.mark.long
def test_python_holds_no_second_copy_of_the_pixels() -> None:
    data = picture("jpeg", (2000, 1500), orientation=6)
    tracemalloc.start()
    try:
        made(data)
        assert tracemalloc.get_traced_memory()[1] < 2000 * 1500 * 1.5
    finally:
        tracemalloc.stop()


def _long_png(width: int, height: int, mode: str, *, orientation: int = 1) -> bytes:
    image = Image.new(mode, (width, height), 7)
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    image.save(out, "PNG", exif=exif, compress_level=1)
    return out.getvalue()


@pytest.mark.long
@pytest.mark.parametrize("mode", ["P", "RGB", "L", "1", "RGBA", "LA", "I;16"])
@pytest.mark.parametrize(
    ("width", "height", "orientation"), [(66_000, 64, 1), (64, 66_000, 1), (66_000, 64, 6), (5_000_000, 2, 1)]
)
def test_picture_longer_than_a_jpeg_can_be_is_prepared(
    width: int, height: int, orientation: int, mode: str
) -> None:
    prepared = made(_long_png(width, height, mode, orientation=orientation))
    image = opened(prepared)
    long_side, short_side = max(image.size), min(image.size)
    assert prepared.suffix == "png" or long_side <= 65_500
    assert long_side >= 65_000
    assert short_side in {64, 2, 1}
    assert (image.width > image.height) == (width > height) ^ (orientation == 6)
    assert prepared.thumbnail is not None
    assert Image.open(io.BytesIO(prepared.thumbnail)).size in {(256, 1), (1, 256)}


def test_lossless_picture_at_the_limits_of_jpeg_keeps_its_size() -> None:
    assert opened(made(_long_png(65_500, 64, "RGB"))).size == (65_500, 64)
    assert opened(made(_long_png(16_384, 300, "P"))).size == (16_384, 300)
    assert opened(made(_long_png(70_000, 50, "P"))).size == (70_000, 50)  # few enough pixels for a PNG


def test_transparency_that_contradicts_the_pixels_is_the_pictures_fault() -> None:
    image = Image.new("P", (4, 4))
    image.info["transparency"] = ["not", "an", "index"]
    source = StrippedSource(b"", "png", 1, None, inverted=False, lossless=True, eight_bit_rgb=False)
    with pytest.raises(ImageFailure) as caught:
        converted(image, source)
    assert caught.value.code == "image_unreadable"
    assert not caught.value.retryable
