"""The files of each kind of output are there and valid, and optional ones come when they are asked for."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.emulator import RunningEmulator
from tests.support.npm import run_script
from tests.support.sketches import picture

MESHY = "fal-ai/meshy/v6/image-to-3d"
RODIN = "fal-ai/hyper3d/rodin/v2"
MAGIC = {"glb": b"glTF", "usdz": b"PK\x03\x04", "fbx": b"; FBX", "obj": b"v ", "stl": b"fal_emulator"}


async def _bytes(emulator: RunningEmulator, file: dict[str, Any]) -> bytes:
    data = (await emulator.http.get(file["url"])).content
    assert len(data) == file["file_size"]
    return data


async def _run(emulator: RunningEmulator, endpoint: str, **arguments: Any) -> dict[str, Any]:
    result = await emulator.result(arguments, endpoint)
    assert result.status_code == 200, result.text
    return dict(result.json())


@pytest.mark.parametrize("form", MAGIC)
async def test_rodin_makes_each_format(emulator: RunningEmulator, form: str) -> None:
    url = await emulator.upload(picture(1))
    result = await _run(emulator, RODIN, input_image_urls=[url], geometry_file_format=form)

    assert result["model_mesh"]["file_name"] == f"model.{form}"
    assert (await _bytes(emulator, result["model_mesh"])).startswith(MAGIC[form])
    assert len(result["textures"]) == 4
    assert {(await _bytes(emulator, one))[:2] for one in result["textures"]} == {b"\xff\xd8"}


async def test_usdz_is_a_package_whose_files_are_aligned(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture(1))
    result = await _run(emulator, RODIN, input_image_urls=[url], geometry_file_format="usdz")
    data = await _bytes(emulator, result["model_mesh"])
    package = zipfile.ZipFile(io.BytesIO(data))
    starts = [
        one.header_offset
        + 30
        + sum(struct.unpack("<HH", data[one.header_offset + 26 : one.header_offset + 30]))
        for one in package.infolist()
    ]
    layer = package.read("model.usda").decode()

    assert package.testzip() is None
    assert package.namelist() == ["model.usda", "texture.jpg"]
    assert {one.compress_type for one in package.infolist()} == {zipfile.ZIP_STORED}
    assert [start % 64 for start in starts] == [0, 0]
    assert layer.startswith("#usda 1.0\n")
    assert layer.count("{") == layer.count("}")
    assert "@texture.jpg@" in layer


async def test_rigging_and_animation_are_there_when_asked_for(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    url = await emulator.upload(picture(1))
    plain = await _run(emulator, MESHY, image_url=url, should_texture=False)
    rigged = await _run(emulator, MESHY, image_url=url, enable_rigging=True)
    moving = await _run(emulator, MESHY, image_url=url, enable_rigging=True, enable_animation=True)
    own = {"rig_task_id", "rigged_character_glb", "rigged_character_fbx", "basic_animations"}
    files = []
    for name, file in [("animation", moving["animation_glb"]), *moving["basic_animations"].items()]:
        if file["file_name"].endswith(".glb"):
            files.append(tmp_path / f"{name}.glb")
            files[-1].write_bytes(await _bytes(emulator, file))
    reports = await run_script("validate.js", *files)

    assert not own & set(plain)
    assert "texture_urls" not in plain
    assert own <= set(rigged)
    assert set(moving) - set(rigged) == {"animation_glb", "animation_fbx"}
    assert len({file["url"] for file in moving["basic_animations"].values()}) == 6
    assert len(files) == 5
    assert [report for report in reports if report["numErrors"] or report["numWarnings"]] == []
    assert b'"animations"' in files[0].read_bytes()


async def test_materials_and_texture_belong_to_the_obj(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture(1))
    result = await _run(emulator, "fal-ai/hunyuan-3d/v3.1/rapid/image-to-3d", input_image_url=url)
    bare = await _run(
        emulator, "fal-ai/hunyuan-3d/v3.1/rapid/image-to-3d", input_image_url=url, enable_geometry=True
    )
    model = await _bytes(emulator, result["model_urls"]["obj"])
    materials = await _bytes(emulator, result["material_mtl"])

    assert model.startswith(f"mtllib {result['material_mtl']['file_name']}\n".encode())
    assert result["texture"]["file_name"].encode() in materials
    assert not {"material_mtl", "texture"} & set(bare)


async def test_a_model_falls_into_parts(emulator: RunningEmulator) -> None:
    model = await emulator.upload(b"; FBX 7.4.0", "model.fbx")
    part = await _run(emulator, "fal-ai/hunyuan-3d/v3.1/part", input_file_url=model)
    files = [await _bytes(emulator, file) for file in part["result_files"]]
    omni = await _run(emulator, "fal-ai/omnipart", input_image_url=await emulator.upload(picture(1)))
    archive = zipfile.ZipFile(io.BytesIO(await _bytes(emulator, omni["output_zip"])))

    assert len(set(files)) == 3
    assert {data[:5] for data in files} == {b"; FBX"}
    assert archive.namelist() == ["model.glb", "model_mesh.glb"]


async def test_each_object_has_files_of_its_own(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture(1))
    boxes = [{"x_min": 0, "y_min": 0, "x_max": 9, "y_max": 9}] * 2
    result = await _run(emulator, "fal-ai/sam-3/3d-objects", image_url=url, box_prompts=boxes)
    files = [*result["individual_glbs"], *result["individual_splats"]]

    assert len({file["url"] for file in files}) == 4
    assert [one["object_index"] for one in result["metadata"]] == [0, 1]
    assert {(await _bytes(emulator, file))[:4] for file in files} == {b"glTF", b"ply\n"}


@pytest.mark.parametrize(("form", "magic"), [("ply", b"ply\n"), ("splat", b"")])
async def test_triposplat_makes_a_splat(emulator: RunningEmulator, form: str, magic: bytes) -> None:
    url = await emulator.upload(picture(1))
    result = await _run(emulator, "tripo3d/triposplat", image_url=url, output_format=form)

    assert result["gaussian_splat"]["file_name"] == f"model.{form}"
    assert (await _bytes(emulator, result["gaussian_splat"])).startswith(magic)


async def test_words_alone_make_a_model_where_the_endpoint_takes_them(emulator: RunningEmulator) -> None:
    worded = await _run(emulator, RODIN, prompt="a chair")
    nothing = await emulator.result({}, RODIN)

    assert (await _bytes(emulator, worded["model_mesh"])).startswith(b"glTF")
    assert nothing.status_code == 422
    assert nothing.json()["detail"][0]["type"] == "value_error"


@pytest.mark.parametrize(
    ("model", "kind", "field"),
    [("picture", "file_download_error", "model_url"), ("missing", "file_download_error", "model_url")],
)
async def test_what_is_no_model_is_refused(
    emulator: RunningEmulator, model: str, kind: str, field: str
) -> None:
    url = await emulator.upload(picture(1))
    given = url if model == "picture" else f"{emulator.url}/files/none/model.glb"
    result = await emulator.result({"image_url": url, "model_url": given}, "fal-ai/ultrashape")
    error = result.json()["detail"][0]

    assert (error["type"], error["loc"]) == (kind, ["body", field])


async def test_every_view_has_to_be_a_picture(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture(1))
    broken = await emulator.upload(b"no picture")
    gone = f"{emulator.url}/files/none/picture.png"
    unread = await emulator.result({"image_urls": [url, broken]}, "fal-ai/trellis/multi")
    missing = await emulator.result({"image_urls": [url, gone]}, "fal-ai/trellis/multi")

    assert unread.json()["detail"][0]["type"] == "image_load_error"
    assert missing.json()["detail"][0]["loc"] == ["body", "image_urls", 1]
