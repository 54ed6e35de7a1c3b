"""What documents say about pictures: how many a file holds, and what will be made smaller."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.pictures import picture
from tests.support.served_api import MakeService, Service

SMALL = (300, 200)
WORDS = {
    "gif": "first frame",
    "webp": "first frame",
    "png": "first frame",
    "avif": "first frame",
    "tiff": "first page",
    "heic": "primary picture",
}


def several(name: str, count: int = 3) -> bytes:
    if name in ("png", "webp", "heic"):
        return picture(name, SMALL, frames=count)
    rng = np.random.default_rng(1)
    frames = [Image.fromarray(rng.integers(0, 256, (*SMALL[::-1], 3), np.uint8)) for _ in range(count)]
    out = io.BytesIO()
    frames[0].save(out, name.upper(), save_all=True, append_images=frames[1:])
    return out.getvalue()


def empty_png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (width, height), 200).save(out, "PNG", compress_level=1)
    return out.getvalue()


def told(image: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["code"], one["file"]) for one in image["warnings"]]


@pytest.mark.long
@pytest.mark.parametrize("name", WORDS)
def test_file_of_several_pictures_says_which_one_is_used(service: Service, name: str) -> None:
    body = Body().file(f"many.{name}", several(name)).file("one.png", picture("png", SMALL))
    answer = service.upload(body)
    assert answer.status == 202
    many, one = answer.items("images")
    assert (many["frames"], one["frames"]) == (3, 1)
    assert [view["frames"] for view in (*many["views"], *one["views"])] == [3, 1]
    assert told(many) == [("several_frames", f"many.{name}")]
    assert f"only the {WORDS[name]} is used" in many["warnings"][0]["message"]
    assert one["warnings"] == []
    status = service.get(f"status/{answer.body['job_id']}")
    assert [image["warnings"] for image in status.items("images")] == [many["warnings"], []]
    quoted = service.post("quote", bytes(body), content_type=CONTENT_TYPE)
    assert [image["frames"] for image in quoted.items("images")] == [3, 1]
    assert ("several_frames", f"many.{name}") in told(quoted.items("images")[0])


@pytest.mark.long
def test_views_of_an_object_have_their_own(make_service: MakeService) -> None:
    service = make_service(models="*")
    body = Body().text("model", "fal-ai/hunyuan3d/v2/multi-view").text("max_cost_usd", "1")
    for side, data in (
        ("front", picture("png", SMALL)),
        ("back", several("gif")),
        ("left", several("heic", 2)),
    ):
        body.part(f'Content-Disposition: form-data; name="objects[chair][{side}]"; filename="{side}.x"', data)
    answer = service.upload(body)
    assert answer.status == 202, answer.body
    (image,) = answer.items("images")
    assert [view["frames"] for view in image["views"]] == [1, 3, 2]
    assert image["frames"] == 1
    assert told(image) == [("several_frames", "back.x"), ("several_frames", "left.x")]


def test_quote_says_what_a_model_gets_smaller(make_service: MakeService) -> None:
    service = make_service(models="*")
    large, fits = empty_png(5200, 100), empty_png(5000, 100)
    found = {}
    for model in ("fal-ai/hunyuan3d-v3/image-to-3d", "fal-ai/trellis"):
        body = Body().text("model", model).file("large.png", large).file("fits.png", fits)
        answer = service.post("quote", bytes(body), content_type=CONTENT_TYPE)
        found[model] = [
            [one["message"] for one in image["warnings"] if one["code"] == "scaled"]
            for image in answer.items("images")
        ]
    assert found["fal-ai/trellis"] == [[], []]
    (message,), none = found["fal-ai/hunyuan3d-v3/image-to-3d"]
    assert "from 5200 × 100 to 5000 × 96 pixels" in message
    assert "fal-ai/hunyuan3d-v3/image-to-3d" in message
    assert none == []


def test_models_say_how_large_a_picture_they_get(make_service: MakeService) -> None:
    answer = make_service(models="*").get("models")
    limits = {one["id"]: one["picture_limits"] for one in answer.items("models")}
    assert limits["fal-ai/hunyuan-3d/v3.1/pro/image-to-3d"] == {
        "max_bytes": 8_000_000,
        "max_width": 5000,
        "max_height": 5000,
        "max_pixels": None,
    }
    assert all(one["max_bytes"] and one["max_width"] and one["max_height"] for one in limits.values())
