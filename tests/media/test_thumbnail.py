"""Thumbnails: small, upright, in the picture's colours, without its secrets."""

import io

import numpy as np
import pytest
from PIL import Image

from image2model.errors import ImageFailure
from image2model.media.preflight import thumbnail
from tests.support.pictures import SECRET, marked, photo_set, picture


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=["WEBP"])
    image.load()
    return image


@pytest.mark.parametrize(
    ("size", "expected"), [((1000, 500), (256, 128)), ((500, 1000), (128, 256)), ((64, 40), (64, 40))]
)
@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_thumbnail_fits_and_is_never_larger_than_the_picture(
    format: str,  # noqa: A002
    size: tuple[int, int],
    expected: tuple[int, int],
) -> None:
    assert opened(thumbnail(picture(format, size))).size == expected


def test_thumbnail_is_upright() -> None:
    stored = marked((800, 400)).transpose(Image.Transpose.ROTATE_90)
    image = opened(thumbnail(picture("jpeg", orientation=6, base=stored)))
    assert image.size == (256, 128)
    pixels = np.asarray(image.convert("RGB"), int)
    assert (pixels[30, 60] - [255, 0, 0]).__abs__().max() < 40
    assert (pixels[30, 190] - [0, 255, 0]).__abs__().max() < 40


def test_thumbnail_of_every_kind_of_picture() -> None:
    for _, data in photo_set(20):
        image = opened(thumbnail(data, size=64))
        assert max(image.size) == 64
        assert SECRET.encode() not in thumbnail(data, size=64)


def test_thumbnail_keeps_transparency() -> None:
    assert opened(thumbnail(picture("png", (300, 300), "RGBA"))).mode == "RGBA"


def test_thumbnail_of_a_broken_picture_fails() -> None:
    with pytest.raises(ImageFailure):
        thumbnail(picture("jpeg", (300, 300))[:2000])
