"""How much memory decoding a picture takes: never much less than it is estimated to."""

import gc
import io
import subprocess
import sys
from typing import Final

import pytest
from PIL import Image

from image2model.decoding.memory import DECODED_BYTES, decoding_bytes
from image2model.domain import PictureLimits
from tests.support.pictures import picture

SIZE: Final = (3000, 2000)
PIXELS: Final = SIZE[0] * SIZE[1]
LIMITS: Final = PictureLimits(max_width=1500, max_height=1500)
_MEASURE: Final = """
import resource, sys
from image2model.media.preflight import prepare
from image2model.domain import PictureLimits
data = sys.stdin.buffer.read()
prepare(open(sys.argv[1], "rb").read(), max_pixels=1 << 40, limits=PictureLimits(max_width=16, max_height=16))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
prepare(data, max_pixels=1 << 40, limits=PictureLimits(max_width=1500, max_height=1500))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)
"""


def taken(data: bytes, small: str) -> int:
    """Bytes by which a process grows that prepares the picture, beside what a small one takes."""
    found = subprocess.run(
        [sys.executable, "-c", _MEASURE, small], input=data, capture_output=True, check=True
    )
    return int(found.stdout)


@pytest.mark.long
@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("jpeg", {}),
        ("jpeg", {"progressive": True}),
        ("jpeg", {"mode": "CMYK"}),
        ("png", {}),
        ("png", {"mode": "RGBA"}),
        ("png", {"mode": "I;16"}),
        ("png", {"mode": "P"}),
        ("webp", {}),
        ("tiff", {}),
        ("bmp", {}),
        ("gif", {"mode": "P"}),
        ("avif", {}),
        ("heic", {}),
    ],
)
def test_no_picture_takes_much_more_than_is_set_aside(
    format: str,  # noqa: A002
    options: dict[str, object],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    small = tmp_path_factory.mktemp("small") / "small"
    small.write_bytes(picture(format, (64, 64), **options))  # type: ignore[arg-type]
    data = picture(format, SIZE, **options)  # type: ignore[arg-type]
    gc.collect()
    # what the file itself takes, and its copies, is in other budgets
    assert taken(data, str(small)) < 1.25 * decoding_bytes(data, LIMITS) + 4 * len(data)


def test_jpeg_that_is_sent_smaller_takes_less() -> None:
    data = picture("jpeg", SIZE)
    assert decoding_bytes(data, LIMITS) == (PIXELS // 4 + 2 * (1500 * 1000)) * 4
    assert decoding_bytes(data) == 3 * PIXELS * 4


def test_what_no_decoder_gets_takes_nothing() -> None:
    assert decoding_bytes(b"no picture") == 0


def test_largest_picture_of_the_defaults_is_decoded_alone() -> None:
    out = io.BytesIO()
    Image.new("L", (11_000, 10_000)).save(out, "PNG", compress_level=1)
    assert decoding_bytes(out.getvalue()) > DECODED_BYTES
