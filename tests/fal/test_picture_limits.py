"""How large a picture each endpoint takes: FAL's numbers, FAL's words, the maker's, or the usual."""

from typing import Any, Final

import pytest

from image2model.domain import PictureLimits
from image2model.fal.endpoints import Catalogue, Endpoint, derive
from image2model.fal.endpoints.overlay import OVERLAY
from image2model.fal.endpoints.picture_limits import USUAL
from tests.fal.documents import document, file, nullable

ID: Final = "fal-ai/some/model"

WORDS: Final[dict[str, PictureLimits | None]] = {
    "Front view. Resolution: 128-5000px, max 8MB, formats: JPG/PNG/WEBP.": PictureLimits(
        max_bytes=8_000_000, max_width=5000, max_height=5000
    ),
    "Max 8MB (recommended ≤6MB for base64 encoding).": PictureLimits(max_bytes=8_000_000),
    "Image resolution must be between 128x128 and 5000x4000 pixels.": PictureLimits(
        max_width=5000, max_height=4000
    ),
    "Max file size: 10.0MB, Min width: 300px, Max width: 2160px, Max aspect ratio: 2.50, Timeout: 20.0s": (
        PictureLimits(max_bytes=10_000_000, max_width=2160)
    ),
    "Less than 5 MB in size, less than 16 MP and max dimension 4096 pixels.": PictureLimits(
        max_bytes=5_000_000, max_width=4096, max_height=4096, max_pixels=16_000_000
    ),
    "Width and height must be between 512 and 2048 pixels.": PictureLimits(max_width=2048, max_height=2048),
    "The image must not exceed 4096x4096 pixels. File size ≤ 900 KB.": PictureLimits(
        max_bytes=900_000, max_width=4096, max_height=4096
    ),
    "Formats: JPEG, PNG. Max 30 MB per image.": PictureLimits(max_bytes=30_000_000),
    "URL of the input image to convert to 3D": None,
    "Recommended range: 512 to 2000. Up to 4 pictures, at most 40 in all.": None,
    "Shows the object at 128-256px in the thumbnail.": None,
}


def endpoint(fields: dict[str, dict[str, Any]], endpoint_id: str = ID) -> Endpoint:
    made = document(
        endpoint_id, "queue", fields, {"model_mesh": file("queue")}, required=(next(iter(fields)),)
    )
    return Endpoint(derive(endpoint_id, made))


@pytest.mark.parametrize("words", WORDS)
def test_limits_in_words(words: str) -> None:
    found = endpoint({"image_url": {"type": "string", "description": words}})
    assert found.schema.inputs[0].limits == WORDS[words]


def test_limits_in_numbers_of_a_picture_of_a_list_and_of_what_may_be_null() -> None:
    numbers = {"max_file_size": 10_485_760, "max_width": 3000, "max_height": 2000, "min_width": 64}
    expected = PictureLimits(max_bytes=10_485_760, max_width=3000, max_height=2000)
    one = endpoint({"image_url": {"type": "string", "x-fal": numbers}})
    of_all = endpoint({"image_urls": {"type": "array", "items": {"type": "string"}, "x-fal": numbers}})
    of_each = endpoint({"image_urls": {"type": "array", "items": {"type": "string", "x-fal": numbers}}})
    either = endpoint({"image_url": {**nullable({"type": "string"}, "queue"), "x-fal": numbers}})
    for made in (one, of_all, of_each, either):
        assert made.schema.inputs[0].limits == expected
        assert made.picture_limits == expected


@pytest.mark.parametrize("value", [0, -1, True, None, "3000", [], 1e300, float("nan")])
def test_limits_that_are_no_numbers_are_none(value: object) -> None:
    found = endpoint({"image_url": {"type": "string", "x-fal": {"max_width": value}}})
    assert found.schema.inputs[0].limits is None


def test_limit_of_one_side_holds_for_all_and_the_rest_is_usual() -> None:
    fields = {
        "input_image_url": {"type": "string", "description": "Resolution: 128-5000px."},
        "back_image_url": {"type": "string"},
    }
    assert endpoint(fields).picture_limits == PictureLimits(
        max_bytes=USUAL.max_bytes, max_width=5000, max_height=5000
    )


def test_model_and_mask_say_nothing_of_pictures() -> None:
    fields = {
        "image_url": {"type": "string"},
        "model_url": {"type": "string", "description": "Max 200MB, at most 600px."},
        "mask_url": {"type": "string", "description": "Max 1MB."},
    }
    assert endpoint(fields).picture_limits == USUAL


def test_stated_limit_wins_over_the_usual_one_even_if_it_is_larger() -> None:
    found = endpoint(
        {"image_url": {"type": "string", "description": "Max width: 14142px, Max height: 14142px"}}
    )
    assert (found.picture_limits.max_width, found.picture_limits.max_bytes) == (14_142, USUAL.max_bytes)


TABLE: Final = {
    "tripo3d/tripo/v2.5/image-to-3d": (20_000_000, 6000),
    "tripo3d/h3.1/multiview-to-3d": (20_000_000, 6000),
    "fal-ai/hunyuan3d-v3/image-to-3d": (8_000_000, 5000),
    "fal-ai/hunyuan-3d/v3.1/pro/image-to-3d": (8_000_000, 5000),
    "fal-ai/trellis": (20_000_000, 6000),
    "fal-ai/meshy/v6/image-to-3d": (20_000_000, 6000),
    "fal-ai/bria/background/remove": (20_000_000, 6000),
}


@pytest.mark.parametrize("model", TABLE)
def test_built_in_endpoint(model: str) -> None:
    found = Catalogue.built_in().find(model).picture_limits
    assert (found.max_bytes, found.max_width) == (TABLE[model][0], TABLE[model][1])
    assert found.max_height == found.max_width


def test_every_row_with_limits_is_of_an_endpoint_that_takes_pictures() -> None:
    catalogue = Catalogue.built_in()
    for model in (model for model, row in OVERLAY.items() if row.limits):
        assert any(one.role in {"picture", "side", "views"} for one in catalogue.find(model).schema.inputs)
