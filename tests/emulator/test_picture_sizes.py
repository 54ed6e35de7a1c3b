"""Pictures that are larger or smaller than an endpoint takes: refused in FAL's words, and billed nothing."""

import io
from typing import Final

import numpy as np
import pytest
from PIL import Image

from tests.support.emulator import RunningEmulator
from tests.support.sketches import picture

IN_WORDS: Final = "fal-ai/hunyuan-3d/v3.1/pro/image-to-3d"
IN_NUMBERS: Final = "tripo3d/p2/image-to-3d"
UNSAID: Final = "tripo3d/tripo/v2.5/image-to-3d"


def noise(side: int) -> bytes:
    pixels = np.random.default_rng(2).integers(0, 256, (side, side, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


@pytest.mark.parametrize(
    ("model", "field", "side"),
    [(IN_WORDS, "input_image_url", 5000), (IN_NUMBERS, "image_url", 6000), (UNSAID, "image_url", 6000)],
)
async def test_sides_that_are_too_long(emulator: RunningEmulator, model: str, field: str, side: int) -> None:
    fits = await emulator.upload(picture(1, (side, 48)))
    assert (await emulator.result({field: fits}, model)).status_code == 200
    for size in ((side + 1, 48), (48, side + 1)):
        url = await emulator.upload(picture(1, size))
        refused = await emulator.result({field: url}, model)
        assert refused.status_code == 422
        assert refused.headers["X-Fal-Billable-Units"] == "0"
        (fault,) = refused.json()["detail"]
        assert fault == {
            "loc": ["body", field],
            "msg": "Image too large",
            "type": "image_too_large",
            "url": "https://docs.fal.ai/errors/#image_too_large",
            "ctx": {"max_height": side, "max_width": side},
            "input": url,
        }


async def test_every_side_of_an_object_is_checked(emulator: RunningEmulator) -> None:
    front, back = [await emulator.upload(picture(1, (width, 48))) for width in (64, 5001)]
    arguments = {"input_image_url": front, "back_image_url": back}
    (fault,) = (await emulator.result(arguments, IN_WORDS)).json()["detail"]
    assert (fault["type"], fault["loc"]) == ("image_too_large", ["body", "back_image_url"])


async def test_files_that_are_too_large(emulator: RunningEmulator) -> None:
    url = await emulator.upload(noise(1800))
    (fault,) = (await emulator.result({"input_image_url": url}, IN_WORDS)).json()["detail"]
    assert (fault["type"], fault["msg"]) == ("file_too_large", "File too large")
    assert fault["ctx"] == {"max_size": 8 << 20}
