"""A file that was cut anywhere never gets as far as FAL, and never raises anything undocumented."""

import random

import pytest

from image2model.errors import ImageFailure, ImageTooLarge, ImageTruncated, NotAnImage
from image2model.media.inspect import inspect
from image2model.media.preflight import prepare
from tests.support.pictures import picture

LIMIT = 50_000_000
SIZE = (40, 56)
FILES = {
    "png": picture("png", SIZE, "RGBA", text=True, gps=True),
    "palette": picture("png", SIZE, "P"),
    "apng": picture("png", SIZE, frames=2),
    "jpeg": picture("jpeg", SIZE),
    "jpeg with thumbnail": picture("jpeg", SIZE, exif_thumbnail=True, orientation=6),
    "progressive": picture("jpeg", SIZE, progressive=True),
    "restarts": picture("jpeg", SIZE, restart=1),
    "cmyk": picture("jpeg", SIZE, "CMYK"),
    "webp": picture("webp", SIZE),
    "webp lossless": picture("webp", SIZE, "RGBA", lossless=True),
    "webp animated": picture("webp", SIZE, frames=2),
    "gif": picture("gif", SIZE, "P"),
    "bmp": picture("bmp", SIZE),
    "tiff": picture("tiff", SIZE),
    "avif": picture("avif", SIZE),
    "heic": picture("heic", SIZE),
}
COMPLETE = {"gif": 1}
"""How many of the last bytes nobody misses: what a GIF ends with."""


def cuts(data: bytes, seed: int) -> list[int]:
    """Every byte near both ends and at markers, and a sample of the rest."""
    some = set(random.Random(seed).sample(range(len(data)), min(600, len(data))))
    return sorted(some | set(range(min(64, len(data)))) | set(range(max(0, len(data) - 64), len(data))))


@pytest.mark.parametrize("name", FILES)
def test_cut_file_never_passes(name: str) -> None:
    data = FILES[name]
    data = data[: len(data) - COMPLETE.get(name, 0)]
    for end in cuts(data, 1):
        with pytest.raises((NotAnImage, ImageTruncated)):
            inspect(data[:end], max_pixels=LIMIT)
        with pytest.raises(ImageFailure, match=r"whole file|Save|PNG, JPEG"):
            prepare(data[:end], max_pixels=LIMIT)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow says what is odd in a TIFF
@pytest.mark.parametrize("name", FILES)
def test_file_with_a_hole_never_raises_anything_else(name: str) -> None:
    chance = random.Random(2)
    for _ in range(200):
        data = bytearray(FILES[name])
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.3:
            start = chance.randrange(len(data))
            del data[start : start + chance.randint(1, 200)]
        try:
            info = inspect(data, max_pixels=LIMIT)
        except (NotAnImage, ImageTruncated, ImageTooLarge):
            continue
        try:
            assert prepare(bytes(data), max_pixels=LIMIT).data
        except ImageFailure:
            continue
        assert info.width * info.height <= LIMIT


def test_mpo_cut_in_its_second_picture_keeps_the_first() -> None:
    data = picture("mpo", SIZE)
    first_end = data.index(b"\xff\xd9\xff\xd8") + 2
    for end in range(first_end, len(data), 37):
        assert prepare(data[:end], max_pixels=LIMIT).width == SIZE[0]
    with pytest.raises(ImageFailure):
        prepare(data[: first_end - 1], max_pixels=LIMIT)
