"""Pictures cropped to their object and padded to a square, by the pixel."""

import time

import numpy as np
import pytest
from PIL import Image, ImageDraw

from image2model.media.arrange import CLEAR, TOLERANCE, arrange, border, object_box
from tests.support.pictures import scene

WHITE, GREY, RED = (255, 255, 255), (200, 201, 202), (200, 30, 40)


def placed(
    box: tuple[int, int, int, int],
    size: tuple[int, int] = (60, 40),
    *,
    background: tuple[int, ...] = WHITE,
    colour: tuple[int, ...] = RED,
) -> Image.Image:
    """A filled rectangle; as everywhere in Pillow, the box ends before its last two numbers."""
    image = Image.new("RGBA" if len(background) == 4 else "RGB", size, background)
    image.paste(colour, box)
    return image


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


@pytest.mark.parametrize(
    ("background", "colour"),
    [
        (WHITE, RED),
        (GREY, RED),
        ((0, 0, 0), WHITE),
        ((0, 0, 0, 0), (*RED, 255)),
        ((*WHITE, 255), (*RED, 255)),
    ],
)
@pytest.mark.parametrize("box", [(7, 5, 31, 36), (0, 5, 31, 36), (59, 0, 60, 1), (0, 0, 60, 1), (3, 4, 4, 5)])
def test_crop_keeps_the_object_and_nothing_else(
    background: tuple[int, ...], colour: tuple[int, ...], box: tuple[int, int, int, int]
) -> None:
    image = placed(box, background=background, colour=colour)
    cropped = arrange(image, crop=True, pad_square=False)
    assert cropped.size == (box[2] - box[0], box[3] - box[1])
    assert cropped.mode == image.mode
    assert (pixels(cropped) == colour).all()


def test_crop_keeps_every_pixel_of_the_object_as_it_is() -> None:
    photo = scene((30, 20), 3)
    image = Image.new("RGB", (90, 70), GREY)
    image.paste(photo, (11, 13))
    box = object_box(image)
    assert box is not None
    left, top, right, bottom = box
    assert (left >= 11, top >= 13, right <= 41, bottom <= 33) == (True,) * 4
    assert (
        pixels(arrange(image, crop=True, pad_square=False)) == pixels(image)[top:bottom, left:right]
    ).all()
    outside = pixels(image).astype(int).copy()
    outside[top:bottom, left:right] = GREY
    assert (abs(outside - GREY) <= TOLERANCE).all()


def test_noise_of_the_background_is_not_the_object_and_a_faint_edge_is() -> None:
    noise = np.random.default_rng(1).integers(-4, 5, (40, 60, 3))
    image = Image.fromarray((np.array(GREY) + noise).astype(np.uint8))
    assert arrange(image, crop=True, pad_square=False) is image
    image.paste(RED, (20, 10, 40, 30))
    image.putpixel((45, 12), tuple(value - TOLERANCE - 6 for value in GREY))
    assert object_box(image) == (20, 10, 46, 30)


def test_alpha_decides_where_there_is_one() -> None:
    image = placed((10, 10, 20, 20), background=(*WHITE, 255), colour=(*WHITE, 0))
    image.putpixel((12, 13), (*WHITE, CLEAR))
    assert arrange(image, crop=True, pad_square=False) is image  # what can be seen reaches every edge
    cut_out = Image.new("RGBA", (60, 40), (0, 0, 0, CLEAR))
    cut_out.paste((*WHITE, CLEAR + 1), (9, 8, 50, 30))
    assert object_box(cut_out) == (9, 8, 50, 30)


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (50, 30), GREY),
        Image.new("RGBA", (50, 30), (0, 0, 0, 0)),
        Image.new("RGB", (1, 1)),
        scene((60, 40), 5),
        placed((0, 0, 60, 20)),
    ],
    ids=["one colour", "all clear", "one pixel", "photograph", "floor and wall"],
)
def test_picture_without_a_background_to_tell_is_not_cropped(image: Image.Image) -> None:
    assert arrange(image, crop=True, pad_square=False) is image


def test_object_cut_off_by_one_side_is_cropped_at_the_others() -> None:
    image = placed((20, 10, 40, 40))
    assert border(image).uniform
    assert arrange(image, crop=True, pad_square=False).size == (20, 30)


@pytest.mark.parametrize(("size", "at"), [((20, 11), (0, 4)), ((11, 20), (4, 0)), ((1, 20), (9, 0))])
@pytest.mark.parametrize(
    ("background", "padding"),
    [(GREY, GREY), ((*GREY, 255), (*GREY, 255)), ((*GREY, 0), (0, 0, 0, 0)), ((*GREY, CLEAR), (0, 0, 0, 0))],
)
def test_padding_centres_the_picture_in_its_backgrounds_colour(
    background: tuple[int, ...], padding: tuple[int, ...], size: tuple[int, int], at: tuple[int, int]
) -> None:
    image = Image.new("RGB" if len(background) == 3 else "RGBA", size, background)
    image.putpixel((size[0] // 2, size[1] // 2), (*RED, 255)[: len(background)])
    square = arrange(image, crop=False, pad_square=True)
    assert (square.size, square.mode) == ((20, 20), image.mode)
    expected = np.empty((20, 20, len(background)), np.uint8)
    expected[:] = padding
    expected[at[1] : at[1] + size[1], at[0] : at[0] + size[0]] = pixels(image)
    assert (pixels(square) == expected).all()


def test_cropped_and_padded_picture_has_the_colour_that_was_around_the_object() -> None:
    square = arrange(placed((10, 5, 50, 15)), crop=True, pad_square=True)
    expected = np.full((40, 40, 3), 255, np.uint8)
    expected[15:25] = RED
    assert (pixels(square) == expected).all()


def test_photograph_is_padded_in_the_median_colour_of_its_border() -> None:
    image = placed((0, 0, 60, 10), background=GREY)
    assert border(image).colour == GREY
    assert arrange(image, crop=False, pad_square=True).getpixel((0, 0)) == GREY


def test_nothing_asked_and_nothing_to_do_is_the_picture_itself() -> None:
    image = placed((10, 5, 50, 15))
    assert arrange(image, crop=False, pad_square=False) is image
    full = Image.new("RGB", (20, 20), RED)
    assert arrange(full, crop=True, pad_square=True) is full


def test_a_square_never_has_more_pixels_than_allowed() -> None:
    line = Image.new("RGB", (2_000_000, 2), RED)
    assert arrange(line, crop=False, pad_square=True, max_pixels=10_000).size == (100, 100)
    wide = placed((100, 20, 300, 50), (400, 50))
    square = arrange(wide, crop=False, pad_square=True, max_pixels=200 * 200)
    assert square.size == (200, 200)
    assert square.getpixel((100, 105)) == RED
    assert square.getpixel((100, 60)) == WHITE


def test_picture_given_is_left_as_it_was() -> None:
    image = placed((10, 5, 50, 15))
    before = image.tobytes()
    arrange(image, crop=True, pad_square=True)
    assert image.tobytes() == before


def test_twelve_megapixels_take_little_time() -> None:
    image = Image.new("RGB", (4000, 3000), WHITE)
    ImageDraw.Draw(image).ellipse((1000, 800, 2600, 2600), RED)
    started = time.thread_time()
    assert arrange(image, crop=True, pad_square=True).size == (1801, 1801)
    assert time.thread_time() - started < 0.5
