"""Every endpoint that takes a model runs once on a finished image, in a format that it takes."""

import pytest

from tests.derive.conftest import World, first
from tests.derive.steps import PART, body, derive
from tests.support.served_api import batch

pytestmark = pytest.mark.long

REQUIRED = {"fal-ai/meshy/rigging/multi-animation": {"animation_action_ids": [1]}}
"""Parameters without which an endpoint does not run."""


async def test_every_endpoint_that_takes_a_model_runs_on_a_finished_image(world: World) -> None:
    await world.start_worker()
    ann = world.caller()
    glb = await world.ended(ann, ann.upload(batch(1)))
    fbx = await world.ended(ann, ann.upload(batch(1, params='{"quad": true}')))
    assert [job["images"][0]["result"]["files"][0]["format"] for job in (glb, fbx)] == ["glb", "fbx"]
    models = [one["id"] for one in ann.get("models").items("models") if one["takes_model"]]
    assert len(models) >= 8
    asked = {}
    for model in models:
        made = fbx if model == PART else glb
        answer = derive(ann, first(made), body(model, params=REQUIRED.get(model, {}), max_cost_usd=2))
        assert answer.status == 202, (model, answer.body)
        asked[model] = answer.text("job_id")
    ended = {model: await world.ended(ann, job_id) for model, job_id in asked.items()}
    assert {model: job["images"][0]["error"] for model, job in ended.items()} == dict.fromkeys(models)
    bought = {one["endpoint"]: one for one in world.fleet.emulator.submissions()[2:]}
    assert set(bought) == set(models)
    for model, entry in bought.items():
        parent = fbx if model == PART else glb
        assert parent["images"][0]["fal_request_id"] in {one["request_id"] for one in entry["inputs"]}, model
        assert entry["billed_usd"] is not None
        assert ended[model]["images"][0]["result"]["files"][0]["kind"] == "model"
