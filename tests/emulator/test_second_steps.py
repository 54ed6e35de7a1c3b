"""Endpoints that take a 3D model: what comes out depends on what was sent, and the ledger shows the chain."""

import hashlib
import io
import json
import struct
from typing import Any

import pytest
from PIL import Image

from tests.support.emulator import FBX, TRIPO, RunningEmulator
from tests.support.sketches import picture

BRIA = "fal-ai/bria/background/remove"
MESHY = "fal-ai/meshy/v5/retexture"
REMESH = "fal-ai/meshy/v5/remesh"
TRELLIS = "fal-ai/trellis-2/retexture"
TOPOLOGY = "fal-ai/hunyuan-3d/v3.1/smart-topology"
PART = "fal-ai/hunyuan-3d/v3.1/part"
RIGGING = "meshy/rigging"
CLIPS = "fal-ai/meshy/rigging/multi-animation"
OBJ = b"# a triangle\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


async def _run(emulator: RunningEmulator, endpoint: str, **arguments: Any) -> dict[str, Any]:
    result = await emulator.result(arguments, endpoint)
    assert result.status_code == 200, result.text
    return dict(result.json())


async def _bytes(emulator: RunningEmulator, file: dict[str, Any]) -> bytes:
    return (await emulator.http.get(file["url"])).content


async def _again(emulator: RunningEmulator, file: dict[str, Any]) -> str:
    """The file under another address, as after a way through the caller's own storage."""
    return await emulator.upload(await _bytes(emulator, file), str(file["file_name"]))


async def _model(emulator: RunningEmulator, seed: int = 1) -> dict[str, Any]:
    found = await _run(emulator, TRIPO, image_url=await emulator.upload(picture(seed)))
    return dict(found["model_mesh"])


def _heights(glb: bytes) -> tuple[float, float, int]:
    """How low and how high the mesh is, and its triangles."""
    length = struct.unpack_from("<I", glb, 12)[0]
    accessors = json.loads(glb[20 : 20 + length])["accessors"]
    return accessors[0]["min"][2], accessors[0]["max"][2], accessors[3]["count"] // 3


def _texture(glb: bytes) -> bytes:
    start = glb.index(b"\xff\xd8\xff")
    return Image.open(io.BytesIO(glb[start:])).resize((8, 8)).tobytes()


async def test_the_ledger_shows_which_request_made_which_input(emulator: RunningEmulator) -> None:
    source = picture(3)
    cut = await _run(emulator, BRIA, image_url=await emulator.upload(source))
    model = await _run(emulator, TRIPO, image_url=await _again(emulator, cut["image"]))
    styled = await _run(
        emulator, MESHY, model_url=await _again(emulator, model["model_mesh"]), text_style_prompt="red"
    )
    await _run(emulator, TOPOLOGY, input_file_url=await _again(emulator, styled["model_glb"]))
    lines = (await emulator.ledger())["submissions"]
    ids = [line["request_id"] for line in lines]

    assert [line["endpoint"] for line in lines] == [BRIA, TRIPO, MESHY, TOPOLOGY]
    assert [[one["request_id"] for one in line["inputs"]] for line in lines] == [
        [None],
        [ids[0]],
        [ids[1]],
        [ids[2]],
    ]
    assert [line["inputs"][0]["field"] for line in lines] == [
        *("image_url", "image_url", "model_url", "input_file_url")
    ]
    first = lines[0]["inputs"][0]
    assert (first["sha256"], first["size"]) == (hashlib.sha256(source).hexdigest(), len(source))
    assert lines[1]["inputs"][0]["sha256"] == lines[0]["outputs"][0]["sha256"]
    assert sum(line["billed_usd"] for line in lines) == pytest.approx(0.018 + 0.30 + 0.30 + 0.75)


async def test_every_input_is_listed_under_its_field(emulator: RunningEmulator) -> None:
    urls = [await emulator.upload(picture(seed)) for seed in (1, 2)]
    await _run(emulator, "fal-ai/trellis/multi", image_urls=urls)
    await emulator.result({"image_url": "data:image/png;base64," + "A" * 900})
    views, data = (await emulator.ledger())["submissions"]

    assert [(one["field"], one["url"]) for one in views["inputs"]] == [
        (f"image_urls[{at}]", url) for at, url in enumerate(urls)
    ]
    assert [one["size"] for one in data["inputs"]] == [675]
    assert len(data["inputs"][0]["url"]) < 200
    assert {one["name"] for one in views["outputs"]} == {"model.glb"}


async def test_new_textures_leave_the_form_as_it_was(emulator: RunningEmulator) -> None:
    model = await _model(emulator)
    style = picture(9)
    styled = await _run(
        emulator, TRELLIS, mesh_url=model["url"], image_url=await emulator.upload(style), seed=1
    )
    before, after = await _bytes(emulator, model), await _bytes(emulator, styled["model_glb"])

    assert _heights(after) == pytest.approx(_heights(before), abs=0.02)
    assert _texture(after) != _texture(before)


@pytest.mark.parametrize(("level", "most"), [("low", 128), ("medium", 512), ("high", 1024)])
async def test_smart_topology_has_fewer_triangles_and_the_same_texture(
    emulator: RunningEmulator, level: str, most: int
) -> None:
    model = await _model(emulator)
    found = await _run(emulator, TOPOLOGY, input_file_url=model["url"], face_level=level)
    before, after = await _bytes(emulator, model), await _bytes(emulator, found["model_glb"])

    assert most // 4 < _heights(after)[2] <= most < _heights(before)[2]
    assert _heights(after)[:2] == pytest.approx(_heights(before)[:2], abs=0.06)
    difference = [abs(a - b) for a, b in zip(_texture(before), _texture(after), strict=True)]
    assert max(difference) < 40


async def test_results_differ_by_what_is_sent_and_only_by_that(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture(1))
    first, second = [await _model(emulator, seed) for seed in (1, 2)]
    runs = [
        await _run(emulator, TRIPO, image_url=url),
        await _run(emulator, TRIPO, image_url=url, seed=7),
        await _run(emulator, TRIPO, image_url=url, seed=8),
        await _run(emulator, TOPOLOGY, input_file_url=first["url"]),
        await _run(emulator, TOPOLOGY, input_file_url=second["url"]),
        await _run(emulator, TOPOLOGY, input_file_url=first["url"], face_level="low"),
        await _run(emulator, "fal-ai/ultrashape", model_url=first["url"], image_url=url),
        await _run(emulator, "fal-ai/ultrashape", model_url=second["url"], image_url=url),
        await _run(emulator, PART, input_file_url=FBX),
        await _run(emulator, PART, input_file_url=f"{FBX}%0A"),
    ]
    files = [run.get("model_mesh") or run.get("model_glb") or run["result_files"][0] for run in runs]
    made = [await _bytes(emulator, file) for file in files]
    again = await _run(emulator, TRIPO, image_url=await emulator.upload(picture(1)), seed=7)

    assert len(set(made)) == len(made)
    assert await _bytes(emulator, again["model_mesh"]) == made[1]


@pytest.mark.parametrize(
    ("endpoint", "field", "name", "data", "fits"),
    [
        (PART, "input_file_url", "model.fbx", b"; FBX 7.4.0\n", True),
        (PART, "input_file_url", "model.fbx", b"Kaydara FBX Binary  \x00", True),
        (PART, "input_file_url", "model.glb", b"glTF", False),
        (RIGGING, "model_url", "model.glb", b"glTF", True),
        (RIGGING, "model_url", "model.obj", OBJ, False),
        (RIGGING, "model_url", "model.bin", b"anything", False),
        (REMESH, "model_url", "model.obj", OBJ, True),
        (REMESH, "model_url", "model.stl", b"x" * 80 + b"\1\0\0\0" + bytes(50), True),
        (REMESH, "model_url", "model.gltf", b'{"asset": {"version": "2.0"}}', True),
        (REMESH, "model_url", "model.usdz", b"PK\x03\x04model.usda", False),
        (TOPOLOGY, "input_file_url", "model.obj", OBJ, False),  # it says that it is a GLB
    ],
)
async def test_a_format_that_is_not_taken_is_refused(
    emulator: RunningEmulator, endpoint: str, field: str, name: str, data: bytes, fits: bool
) -> None:
    result = await emulator.result({field: await emulator.upload(data, name)}, endpoint)

    assert result.status_code == (200 if fits else 422), result.text
    if not fits:
        error = result.json()["detail"][0]
        assert (error["type"], error["loc"]) == ("feature_not_supported", ["body", field])
        assert result.headers["x-fal-billable-units"] == "0"


async def test_the_format_is_the_one_that_the_input_names(emulator: RunningEmulator) -> None:
    url = await emulator.upload(OBJ, "model.obj")

    assert (await _run(emulator, TOPOLOGY, input_file_url=url, input_file_type="obj"))["model_glb"]


@pytest.mark.parametrize(
    ("endpoint", "arguments", "kind", "field"),
    [
        (MESHY, {"model_url": FBX}, "value_error", "text_style_prompt"),
        (MESHY, {"model_url": FBX, "text_style_prompt": "x" * 601}, "string_too_long", "text_style_prompt"),
        (MESHY, {"text_style_prompt": "red"}, "missing", "model_url"),
        (CLIPS, {"model_url": "data:,glTF"}, "missing", "animation_action_ids"),
        (CLIPS, {"model_url": "data:,glTF", "animation_action_ids": []}, "too_short", "animation_action_ids"),
        (
            CLIPS,
            {"model_url": "data:,glTF", "animation_action_ids": [0] * 11},
            "too_long",
            "animation_action_ids",
        ),
        (REMESH, {"model_url": FBX, "target_polycount": 99}, "greater_than_equal", "target_polycount"),
        (REMESH, {"model_url": FBX, "origin_at": "top"}, "literal_error", "origin_at"),
        ("tripo3d/h3.1/multiview-to-3d", {"image_urls": ["data:,x"]}, "too_short", "image_urls"),
        ("tripo3d/h3.1/multiview-to-3d", {"image_urls": ["data:,x"] * 5}, "too_long", "image_urls"),
        ("tripo3d/h3.1/multiview-to-3d", {"image_urls": "data:,x"}, "list_type", "image_urls"),
        ("fal-ai/hyper3d/rodin/v2", {"input_image_urls": ["data:,x"] * 6}, "too_long", "input_image_urls"),
        ("tripo3d/tripo/v2.5/multiview-to-3d", {"back_image_url": "data:,x"}, "missing", "front_image_url"),
    ],
)
async def test_a_wrong_input_is_refused_as_fal_does(
    emulator: RunningEmulator, endpoint: str, arguments: dict[str, Any], kind: str, field: str
) -> None:
    result = await emulator.result(arguments, endpoint)

    assert result.status_code == 422
    assert [(one["type"], one["loc"][:2]) for one in result.json()["detail"]] == [(kind, ["body", field])]
    assert result.headers["x-fal-billable-units"] == "0"
    assert (await emulator.ledger())["submissions"][0]["billed_usd"] == 0


async def test_every_missing_side_is_named(emulator: RunningEmulator) -> None:
    result = await emulator.result({"front_image_url": "data:,x"}, "fal-ai/hunyuan3d/v2/multi-view")

    assert {one["loc"][1] for one in result.json()["detail"]} == {"back_image_url", "left_image_url"}


async def test_rigging_gives_a_skeleton_and_the_animations_that_are_asked_for(
    emulator: RunningEmulator,
) -> None:
    model = (await _model(emulator))["url"]
    plain = await _run(emulator, RIGGING, model_url=model)
    moving = await _run(emulator, RIGGING, model_url=model, enable_animation=True)
    clips = await _run(emulator, CLIPS, model_url=model, animation_action_ids=[36, 92, 36])
    costs = [line["billed_usd"] for line in (await emulator.ledger())["submissions"]]

    assert set(plain) == {"rigged_character_glb", "rigged_character_fbx", "basic_animations"}
    assert set(moving) - set(plain) == {"animation_glb", "animation_fbx"}
    assert [clip["action_id"] for clip in clips["animations"]] == [36, 92]
    assert b'"animations"' in await _bytes(emulator, clips["animations"][1]["animation_glb"])
    assert costs[1:] == [0.20, 0.32, 0.44]


async def test_remesh_gives_the_formats_that_are_asked_for(emulator: RunningEmulator) -> None:
    model = (await _model(emulator))["url"]
    plain = await _run(emulator, REMESH, model_url=model)
    others = await _run(emulator, REMESH, model_url=model, target_formats=["fbx", "stl"])

    assert set(plain["model_urls"]) == {"glb"}
    assert plain["model_glb"] == plain["model_urls"]["glb"]
    assert set(others["model_urls"]) == {"fbx", "stl"}
    assert "model_glb" not in others


async def test_retexture_is_cheaper_at_low_resolution(emulator: RunningEmulator) -> None:
    url, model = await emulator.upload(picture(1)), (await _model(emulator))["url"]
    for resolution in (512, 1024):
        arguments = emulator.as_drawn(TRELLIS, {"resolution": resolution})
        await _run(emulator, TRELLIS, mesh_url=model, image_url=url, **arguments)
    lines = (await emulator.ledger())["submissions"]

    assert [line["billed_usd"] for line in lines[1:]] == [0.20, 0.24]
