"""Pictures made to fit within limits: reduced while they are decoded, in every mode, the right way up."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from image2model.domain import PictureLimits
from image2model.media.arrange_file import arrange_file
from image2model.media.fitting import fitted
from image2model.media.preflight import Prepared, prepare
from tests.support.pictures import chunk, marked, picture, png_of, scene, swapped_profile

LIMIT = 210_000_000
SIZE = (1200, 900)
SMALLER = PictureLimits(max_width=500, max_height=500)


def opened(prepared: Prepared) -> Image.Image:
    image = Image.open(io.BytesIO(prepared.data))
    image.load()
    assert image.size == (prepared.width, prepared.height)
    return image


def differences(image: Image.Image, expected: Image.Image) -> npt.NDArray[np.float64]:
    first, second = (np.asarray(one.convert("RGB"), np.float64) for one in (image, expected))
    return np.abs(np.subtract(first, second))


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        ((8064, 6048), PictureLimits(max_width=6000, max_height=6000), (6000, 4500)),
        ((6048, 8064), PictureLimits(max_width=6000, max_height=6000), (4500, 6000)),
        ((4000, 3000), PictureLimits(max_width=6000, max_height=6000), (4000, 3000)),
        ((4000, 3000), PictureLimits(), (4000, 3000)),
        ((4000, 3000), PictureLimits(max_pixels=3_000_000), (2000, 1500)),
        ((4000, 3000), PictureLimits(max_width=4000, max_height=300), (400, 300)),
        ((66_000, 64), PictureLimits(max_width=6000, max_height=6000), (6000, 6)),
        ((100_000, 1), PictureLimits(max_width=6000, max_height=6000), (6000, 1)),
    ],
)
def test_size_that_fits(size: tuple[int, int], limits: PictureLimits, expected: tuple[int, int]) -> None:
    assert fitted(size, limits) == expected


@pytest.mark.parametrize("side", [137, 251, 333, 500, 777, 1199])
@pytest.mark.parametrize("pixels", [None, 10_007, 99_991])
def test_no_rounding_goes_over_a_limit(side: int, pixels: int | None) -> None:
    for size in ((1200, 900), (1199, 1201), (3001, 7)):
        width, height = fitted(size, PictureLimits(max_width=side, max_height=side, max_pixels=pixels))
        assert 1 <= width <= side
        assert 1 <= height <= side
        assert pixels is None or width * height <= pixels


@pytest.mark.long
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(2000, 1500), (2003, 1501), (4000, 3000)])
def test_reduced_jpeg_is_as_good_as_one_reduced_afterwards(size: tuple[int, int], progressive: bool) -> None:
    base = scene(size, 3)
    data = picture("jpeg", base=base, quality=92, progressive=progressive)
    found = opened(prepare(data, max_pixels=LIMIT, limits=SMALLER))
    whole = Image.open(io.BytesIO(data)).convert("RGB")
    off = differences(found, whole.resize(found.size, Image.Resampling.LANCZOS))
    assert off.mean() < 1
    # the greatest are on the edges of bodies, where the two filters differ
    assert np.percentile(off, 99.5) <= 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_reduced_picture_is_the_right_way_up(format: str, orientation: int) -> None:  # noqa: A002
    upright = marked((900, 600))
    turns = Image.Transpose
    inverse = {
        2: turns.FLIP_LEFT_RIGHT, 3: turns.ROTATE_180, 4: turns.FLIP_TOP_BOTTOM, 5: turns.TRANSPOSE,
        6: turns.ROTATE_90, 7: turns.TRANSVERSE, 8: turns.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(inverse[orientation]) if orientation > 1 else upright
    data = picture(format, orientation=orientation, base=stored, quality=95)
    # one limit for each side: a picture on its side must be held to those of the upright one
    made = prepare(data, max_pixels=LIMIT, limits=PictureLimits(max_width=300, max_height=1000))
    assert (made.width, made.height, made.whole) == (300, 200, (900, 600))
    assert differences(opened(made), upright.resize((300, 200))).mean() < 3


@pytest.mark.long
@pytest.mark.parametrize(
    ("format", "mode"),
    [
        ("png", "RGB"), ("png", "L"), ("png", "LA"), ("png", "RGBA"), ("png", "P"), ("png", "1"),
        ("png", "I;16"), ("png", "RGB;16"), ("png", "RGBA;16"), ("jpeg", "RGB"), ("jpeg", "L"),
        ("jpeg", "CMYK"), ("webp", "RGB"), ("webp", "RGBA"), ("gif", "P"), ("bmp", "RGB"), ("tiff", "RGB"),
        ("heic", "RGB"), ("avif", "RGB"),
    ],
)  # fmt: skip
def test_every_mode_reduced_looks_as_the_whole_one(format: str, mode: str) -> None:  # noqa: A002
    data = picture(format, SIZE, mode, seed=3, quality=95)
    made = prepare(data, max_pixels=LIMIT, limits=SMALLER)
    assert (made.width, made.height, made.whole) == (500, 375, SIZE)
    whole = opened(prepare(data, max_pixels=LIMIT))
    small = whole.resize((500, 375), Image.Resampling.LANCZOS)
    reduced = opened(made)
    assert reduced.mode == whole.mode
    backdrop = Image.new("RGBA", small.size, "white")
    shown = [Image.alpha_composite(backdrop, one.convert("RGBA")) for one in (reduced, small)]
    assert differences(*shown).mean() < 2


def test_profile_counts_for_a_reduced_picture() -> None:
    base = scene(SIZE, 5)
    data = picture("jpeg", base=base, profile=swapped_profile(), quality=95)
    whole = opened(prepare(data, max_pixels=LIMIT))
    reduced = opened(prepare(data, max_pixels=LIMIT, limits=SMALLER))
    assert differences(whole, base).mean() > 10, "the profile changes nothing"
    assert differences(reduced, whole.resize(reduced.size)).mean() < 2


def test_clear_colour_of_a_reduced_picture_stays_clear() -> None:
    grey = png_of(600, 400, 8, 0, (b"\x00" + bytes([0] * 300 + [200] * 300)) * 400)
    keyed = grey[:33] + chunk(b"tRNS", b"\x00\x00") + grey[33:]
    made = prepare(keyed, max_pixels=LIMIT, limits=PictureLimits(max_width=60, max_height=60))
    image = opened(made)
    assert image.mode == "RGBA"
    alpha = np.asarray(image)[..., 3]
    assert alpha[:, :26].max() == 0
    assert alpha[:, 34:].min() == 255


def noise(size: tuple[int, int], bands: int) -> bytes:
    pixels = np.random.default_rng(4).integers(0, 256, (*size[::-1], bands), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("most", [400_000, 100_000, 20_000])
def test_file_of_too_many_bytes_becomes_smaller(bands: int, most: int) -> None:
    data = noise((600, 400), bands)
    made = prepare(data, max_pixels=LIMIT, limits=PictureLimits(max_bytes=most))
    assert most / 3 < len(made.data) <= most
    assert made.suffix == "png" or bands == 3
    image = opened(made)
    assert abs(image.width / image.height - 1.5) < 0.05
    assert made.is_scaled == (image.size != (600, 400))


def test_jpeg_of_too_many_bytes_is_encoded_anew_and_keeps_its_size_if_it_can() -> None:
    base = scene((1000, 800), 6)
    out = io.BytesIO()
    base.save(out, "JPEG", quality=100, subsampling=0)
    most = len(out.getvalue()) - 1
    made = prepare(out.getvalue(), max_pixels=LIMIT, limits=PictureLimits(max_bytes=most))
    assert len(made.data) <= most
    assert not made.is_scaled


def test_picture_within_the_limits_is_not_touched() -> None:
    data = picture("jpeg", (500, 400))
    exact = PictureLimits(max_bytes=len(data), max_width=500, max_height=400, max_pixels=200_000)
    assert prepare(data, max_pixels=LIMIT, limits=exact) == prepare(data, max_pixels=LIMIT)


def test_long_strip_becomes_a_picture_that_fits() -> None:
    palette = chunk(b"PLTE", bytes([200, 30, 30]))
    rows = png_of(66_000, 64, 8, 3, (b"\x00" + bytes(66_000)) * 64)
    made = prepare(
        rows[:33] + palette + rows[33:],
        max_pixels=LIMIT,
        limits=PictureLimits(max_width=6000, max_height=6000),
    )
    assert (made.width, made.height, made.whole) == (6000, 6, (66_000, 64))
    assert opened(made).getpixel((3000, 3)) == (200, 30, 30)


def test_arranged_picture_fits_too() -> None:
    data = picture("png", (900, 300))
    made = arrange_file(data, max_pixels=LIMIT, crop=False, pad_square=True, limits=SMALLER)
    assert (made.width, made.height, made.whole) == (500, 500, (900, 900))
    assert opened(made).size == (500, 500)


def test_thumbnail_of_a_scaled_picture_is_of_the_whole() -> None:
    made = prepare(picture("jpeg", SIZE), max_pixels=LIMIT, limits=PictureLimits(max_width=40, max_height=40))
    assert made.thumbnail is not None
    with Image.open(io.BytesIO(made.thumbnail)) as small:
        assert small.size[0] <= 256


def test_no_thumbnail_is_made_ahead_of_a_picture_that_is_quick_to_decode() -> None:
    at_most, more = (prepare(picture("bmp", (side, 1000)), max_pixels=LIMIT) for side in (1000, 1001))
    assert at_most.thumbnail is None
    assert more.thumbnail is not None
