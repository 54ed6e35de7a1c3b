"""What second steps cost by the pages of FAL, and what stays unknown."""

import pytest

from image2model.fal.endpoints.parameter import Json
from tests.support.endpoints import endpoint_of


@pytest.mark.parametrize(
    ("model", "params", "micro"),
    [
        ("fal-ai/meshy/v5/retexture", {}, 300_000),
        ("fal-ai/meshy/v5/remesh", {}, 200_000),
        ("fal-ai/trellis-2/retexture", {}, 240_000),
        ("fal-ai/trellis-2/retexture", {"resolution": 512}, 200_000),
        ("fal-ai/trellis-2/retexture", {"resolution": "512"}, 200_000),
        ("fal-ai/ultrashape", {}, 150_000),
        ("meshy/rigging", {}, 200_000),
        ("fal-ai/meshy/rigging", {"enable_animation": True}, 320_000),
        ("fal-ai/meshy/rigging/multi-animation", {"animation_action_ids": [36, 92, 36]}, 440_000),
        ("hyper3d/rigging", {}, 200_000),
        ("fal-ai/hunyuan-3d/v3.1/smart-topology", {}, None),
        ("fal-ai/hunyuan-3d/v3.1/part", {}, None),
        ("fal-ai/hunyuan-part", {}, None),
        ("fal-ai/triposr/remeshing", {}, None),
    ],
)
def test_price_by_parameters(model: str, params: dict[str, Json], micro: int | None) -> None:
    assert endpoint_of(model).price(params) == micro


@pytest.mark.parametrize("model", ["meshy/rigging", "fal-ai/meshy/rigging/multi-animation"])
def test_the_rigged_character_is_the_model(model: str) -> None:
    assert endpoint_of(model).outputs["model"][0] == "rigged_character_glb"
