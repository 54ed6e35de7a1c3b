"""A small plain PNG goes as it came if all its pixels are there; of any other a decoder judges."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from image2model.domain import PictureLimits
from image2model.errors import ImageFailure
from image2model.media import png_pixels
from image2model.media.png import SIGNATURE
from image2model.media.preflight import prepare
from tests.support.pictures import chunk, interlace, png_of, scene

WIDTH, HEIGHT = 20, 10
LINES = b"".join(bytes([n % 5]) + bytes(3 * WIDTH) for n in range(HEIGHT))
"""One with each filter."""


def test_plain_png_is_whole_and_goes_as_it_came() -> None:
    for mode in ("RGB", "RGBA"):
        out = io.BytesIO()
        scene((96, 64), 1).convert(mode).save(out, "PNG")
        assert png_pixels.is_whole(out.getvalue())
        prepared = prepare(out.getvalue(), max_pixels=1 << 20)
        assert (prepared.width, prepared.height, prepared.is_scaled) == (96, 64, False)
        with Image.open(io.BytesIO(prepared.data)) as sent, Image.open(out) as original:
            assert np.array_equal(np.asarray(sent), np.asarray(original))


def test_every_filter_is_one() -> None:
    assert png_pixels.is_whole(png_of(WIDTH, HEIGHT, 8, 2, LINES))


def _packed(data: bytes, **header: int) -> bytes:
    """A PNG of these compressed bytes, whatever they are. `header`: bytes of it that differ."""
    fields = {"compression": 0, "filtering": 0, **header}
    ihdr = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, fields["compression"], fields["filtering"], 0)
    return SIGNATURE + chunk(b"IHDR", ihdr) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


DAMAGED = {
    "cut off": _packed(zlib.compress(LINES, 0)[:-100]),
    "no such filter": _packed(zlib.compress(b"\x05" + LINES[1:])),
    "not compressed": _packed(LINES),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_png_whose_pixels_are_not_all_there_is_refused(damage: str) -> None:
    assert not png_pixels.is_whole(DAMAGED[damage])
    with pytest.raises(ImageFailure, match="cannot be decoded"):
        prepare(DAMAGED[damage], max_pixels=1 << 20)


ODD = {
    "a line is missing": _packed(zlib.compress(LINES[: -1 - 3 * WIDTH])),  # Pillow takes it as black
    "one line too many": _packed(zlib.compress(LINES + bytes(1 + 3 * WIDTH))),
    "bytes behind the end": _packed(zlib.compress(LINES) + b"more"),
    "no checksum": _packed(zlib.compress(LINES)[:-4]),
    "grey": png_of(WIDTH, HEIGHT, 8, 0, bytes((1 + WIDTH) * HEIGHT)),
    "sixteen bits": png_of(WIDTH, HEIGHT, 16, 2, bytes((1 + 6 * WIDTH) * HEIGHT)),
    "interlaced": interlace(b"", scene((WIDTH, HEIGHT), 1)),
    "palette": SIGNATURE
    + b"".join(
        [
            chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)),
            chunk(b"PLTE", bytes(3)),
            chunk(b"IDAT", zlib.compress(LINES)),
            chunk(b"IEND", b""),
        ]
    ),
    "no PNG": b"GIF89a",
}


@pytest.mark.parametrize("oddity", ODD)
def test_of_anything_odd_the_decoder_judges(oddity: str) -> None:
    assert not png_pixels.is_whole(ODD[oddity])


def test_larger_picture_than_a_model_takes_is_made_smaller() -> None:
    data = png_of(WIDTH, HEIGHT, 8, 2, LINES)
    assert prepare(data, max_pixels=1 << 20, limits=PictureLimits(max_width=10)).width == 10
    few = PictureLimits(max_bytes=len(data) - 1)
    assert len(prepare(data, max_pixels=1 << 20, limits=few).data) < len(data)
