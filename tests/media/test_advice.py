"""Warnings about pictures: each by pictures that earn it, and none about good ones."""

import io
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageDraw

from image2model.domain import PictureWarningCode
from image2model.media import advice as module
from image2model.media.advice import advice
from tests.support import subjects
from tests.support.pictures import jpeg_bomb, photo_set, picture, png_bomb, scene, webp_bomb
from tests.support.subjects import WHITE, chair, encoded, gradient, lines, mug, noisy, on

LIMIT = 50_000_000
SIZE = (1600, 1200)
Maker = Callable[[], Image.Image]


def plain(colour: tuple[int, ...] = WHITE, size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour)


def clear(size: tuple[int, int] = SIZE) -> Image.Image:
    return plain((0, 0, 0, 0), size)


def with_alpha(image: Image.Image) -> Image.Image:
    """Its white made transparent."""
    cut_out = image.convert("RGBA")
    cut_out.putalpha(image.convert("L").point([255 * (level < 240) for level in range(256)]))
    return cut_out


def sketch() -> Image.Image:
    image = plain()
    for number in range(9):
        ends = (300 + number * 90, 300, 500 + number * 60, 900)
        ImageDraw.Draw(image).line(ends, fill=(60, 60, 60), width=4)
    return image


def two(background: Image.Image, other: tuple[int, int, int] = (70, 90, 140)) -> Image.Image:
    return on(background, (chair(700), (60, 250)), (chair(700, other, 1), (840, 250)))


GOOD: dict[str, Maker] = {
    "product on white": lambda: on(plain(), (chair(900), (300, 200))),
    "product with a shadow": lambda: noisy(on(plain(), (chair(900), (300, 200)), shadow=True)),
    "white product on white": lambda: noisy(on(plain(), (mug(900, (238, 238, 238)), (300, 200))), 2),
    "on a gradient": lambda: noisy(
        on(gradient(SIZE, (200, 210, 220), (120, 110, 100)), (chair(900), (300, 200)), shadow=True)
    ),
    "on a busy background": lambda: noisy(on(scene(SIZE, 3), (chair(900), (300, 200)), shadow=True)),
    "two on a busy background": lambda: two(scene(SIZE, 3)),
    "dark": lambda: noisy(on(plain((12, 12, 14)), (chair(900, (40, 30, 20)), (300, 200)))),
    "from a phone": lambda: noisy(
        on(gradient((1512, 2016), (180, 170, 160), (90, 80, 70)), (mug(1000), (250, 500)), shadow=True)
    ),
    "cut out": lambda: on(clear(), (chair(900), (300, 200))),
    "cut-out silhouette": lambda: Image.merge(
        "RGBA", [Image.new("L", (900, 900), 20)] * 3 + [chair(900).getchannel("A")]
    ),
    "cut-out with a crumb": lambda: on(clear(), (chair(900), (200, 200)), (mug(150), (1300, 900))),
    "product with a small thing": lambda: on(plain(), (chair(900), (300, 200)), (mug(200), (1300, 900))),
    "lamp with a white pole": subjects.lamp,
    "cut-out of a lamp without its pole": lambda: with_alpha(subjects.lamp()),
    "spectacles": subjects.spectacles,
    "white shoe on white": subjects.pale_shoe,
    "wordmark": subjects.wordmark,
    "cut-out wordmark": lambda: with_alpha(subjects.wordmark()),
    "box with print": lambda: subjects.boxed(30),
    "box with small print": lambda: subjects.boxed(20),
    "book": subjects.book,
    "keyboard": subjects.keyboard,
    "brick wall": subjects.brick_wall,
    "dots": subjects.dots,
    "small dots": lambda: subjects.dots(pitch=16, radius=6),
    "stripes": subjects.stripes,
    "slanted stripes": lambda: subjects.stripes(angle=3),
    "upright stripes": lambda: subjects.stripes().transpose(Image.Transpose.ROTATE_90),
    "checks": subjects.checks,
    "fine checks": lambda: subjects.checks(pitch=8),
    "wicker": subjects.wicker,
    "noise": subjects.noise,
    "headline": lambda: lines((1200, 1200), 110),
    "sketch": sketch,
    "small": lambda: noisy(on(plain(size=(200, 200)), (mug(160), (20, 20)))),
}

BAD: dict[str, tuple[PictureWarningCode, Maker]] = {
    "icon": (PictureWarningCode.TINY, lambda: on(plain(size=(96, 64)), (mug(60), (10, 2)))),
    "far away": (PictureWarningCode.TINY, lambda: on(plain(size=(3000, 3000)), (mug(100), (1400, 1400)))),
    "small cut-out": (PictureWarningCode.TINY, lambda: on(clear((1000, 800)), (mug(90), (500, 300)))),
    "white": (PictureWarningCode.UNIFORM, plain),
    "lens cap": (PictureWarningCode.UNIFORM, lambda: noisy(plain((4, 4, 6)), 4)),
    "small wall": (PictureWarningCode.UNIFORM, lambda: noisy(plain((180, 170, 160), (300, 200)), 3)),
    "nothing to see": (PictureWarningCode.UNIFORM, clear),
    "page": (PictureWarningCode.TEXT, lambda: lines((1700, 2200), 30)),
    "page of small print": (PictureWarningCode.TEXT, lambda: lines((800, 1100), 14)),
    "light on dark": (
        PictureWarningCode.TEXT,
        lambda: lines(SIZE, 24, ink=(230, 230, 230), paper=(20, 20, 25)),
    ),
    "photographed page": (PictureWarningCode.TEXT, subjects.scan),
    "page askew": (PictureWarningCode.TEXT, lambda: subjects.scan(angle=-2)),
    "chat": (PictureWarningCode.TEXT, subjects.phone_chat),
    "dark chat": (PictureWarningCode.TEXT, lambda: subjects.phone_chat(dark=True)),
    "code": (PictureWarningCode.TEXT, subjects.editor),
    "article": (PictureWarningCode.TEXT, subjects.web_page),
    "desktop": (PictureWarningCode.TEXT, lambda: lines((1920, 1080), 14)),
    "page with a clear margin": (PictureWarningCode.TEXT, lambda: with_alpha(lines((1200, 900), 26))),
    "two chairs": (PictureWarningCode.SEVERAL_OBJECTS, lambda: two(plain())),
    "two dark chairs": (PictureWarningCode.SEVERAL_OBJECTS, lambda: two(plain(), (45, 40, 38))),
    "two chairs on grey": (PictureWarningCode.SEVERAL_OBJECTS, lambda: noisy(two(plain((190, 192, 195))), 2)),
    "cut-out of two": (PictureWarningCode.SEVERAL_OBJECTS, lambda: two(clear())),
    "chair and mug": (
        PictureWarningCode.SEVERAL_OBJECTS,
        lambda: noisy(on(plain(), (chair(700), (60, 250)), (mug(500), (950, 450))), 2),
    ),
    "views of one chair": (
        PictureWarningCode.SEVERAL_OBJECTS,
        lambda: on(plain(), *[(chair(500), (100 + 800 * (n % 2), 60 + 600 * (n // 2))) for n in range(4)]),
    ),
}


def codes(image: Image.Image) -> set[PictureWarningCode | None]:
    """What is said of the picture as a PNG, and as a JPEG where it can be one."""
    files = [encoded(image, "PNG")]
    if image.mode == "RGB":
        files.append(encoded(image, "JPEG", 80))
    found = [advice(data, max_pixels=LIMIT) for data in files]
    return {None if one is None else one.code for one in found}


@pytest.mark.long
@pytest.mark.parametrize("name", GOOD)
def test_good_picture_gets_no_warning(name: str) -> None:
    assert codes(GOOD[name]()) == {None}


@pytest.mark.long
@pytest.mark.parametrize("name", BAD)
def test_bad_picture_gets_the_warning_that_it_earns(name: str) -> None:
    code, make = BAD[name]
    assert codes(make()) == {code}


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_picture_is_measured_as_a_viewer_shows_it(orientation: int) -> None:
    turns = Image.Transpose
    inverse = {3: turns.ROTATE_180, 6: turns.ROTATE_90, 8: turns.ROTATE_270}
    for image, code in ((lines((900, 1200), 24), "text"), (two(plain()), "several_objects")):
        stored = image.transpose(inverse[orientation]) if orientation > 1 else image
        found = advice(picture("jpeg", orientation=orientation, base=stored), max_pixels=LIMIT)
        assert found is not None
        assert found.code == code


def test_message_says_how_large_the_object_is_and_what_to_do() -> None:
    image = on(plain(size=(3000, 3000)), (mug(100), (1400, 1400)))
    found = advice(encoded(image, "PNG"), max_pixels=LIMIT)
    assert found is not None
    width, height = (int(number) for number in re.findall(r"\d+", found.message)[:2])
    assert abs(width - 80) < 16
    assert abs(height - 85) < 16
    assert "512" in found.message


def test_small_picture_is_told_by_its_header() -> None:
    found = advice(picture("png", (120, 90)), max_pixels=LIMIT)
    assert found is not None
    assert "120 × 90" in found.message


def test_every_kind_of_file_can_be_measured() -> None:
    for name, data in photo_set(40):
        found = advice(data, max_pixels=LIMIT)
        assert (found is not None and found.code == PictureWarningCode.TINY) == (
            "tiny" in name or "rlaced" in name
        )


@pytest.mark.long
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "RGB;16", "RGBA;16"])
def test_every_colour_mode_can_be_measured(mode: str) -> None:
    page = lines((2600, 700), 40, paper=WHITE)
    assert advice(picture("png", mode=mode, base=page), max_pixels=LIMIT) is not None or mode in {
        "RGBA", "LA", "RGBA;16",  # whose alpha falls off towards the edges
    }  # fmt: skip
    assert advice(picture("png", mode=mode, base=scene((2600, 700), 5)), max_pixels=LIMIT) is None


@pytest.mark.parametrize(
    "data",
    [
        b"", b"text", png_bomb(), jpeg_bomb(), webp_bomb(), picture("jpeg", (300, 300))[:2000],
        picture("png", (300, 300))[:-40] + bytes(10) + picture("png", (300, 300))[-30:],
    ],
)  # fmt: skip
def test_bad_file_has_no_warning(data: bytes) -> None:
    assert advice(data, max_pixels=LIMIT) is None


def test_picture_that_would_take_too_much_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("it was decoded")

    white = encoded(plain(size=(8000, 6000)), "PNG")
    large = jpeg_bomb(8000, 6000)
    page = lines((1200, 900), 24)
    many_scans = io.BytesIO()
    page.save(many_scans, "JPEG", progressive=True)
    start = many_scans.getvalue().index(b"\xff\xda")
    scan = many_scans.getvalue()[start : many_scans.getvalue().index(b"\xff\xda", start + 2)]
    slow = many_scans.getvalue()[:start] + scan * 700 + many_scans.getvalue()[start:]
    monkeypatch.setattr(module, "decode", fail)
    assert advice(white, max_pixels=LIMIT) is None
    assert advice(slow, max_pixels=LIMIT) is None
    for cheap in (many_scans.getvalue(), large):  # the large one has one scan: a small draft is decoded
        with pytest.raises(AssertionError):
            advice(cheap, max_pixels=LIMIT)


def test_threads_do_not_disturb_each_other() -> None:
    files = [encoded(make(), "PNG") for make in (GOOD["wordmark"], BAD["chat"][1], BAD["two chairs"][1])] * 4
    alone = [advice(data, max_pixels=LIMIT) for data in files]
    before = threading.active_count()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda data: advice(data, max_pixels=LIMIT), files)) == alone
    assert threading.active_count() == before


def test_twelve_megapixels_take_little_time() -> None:
    image = on(gradient((4000, 3000), (180, 170, 160), (90, 80, 70)), (mug(2000), (500, 500)), shadow=True)
    data = encoded(image)
    times = []
    for _ in range(3):
        started = time.thread_time()
        advice(data, max_pixels=LIMIT)
        times.append(time.thread_time() - started)
    assert min(times) < 0.2  # 40 ms on an idle machine
