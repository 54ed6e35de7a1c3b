"""The models are real: valid glTF made from the very picture that was submitted, for whatever picture."""

import asyncio
from pathlib import Path

import pytest

from fal_emulator.endpoints import ENDPOINTS
from tests.support.emulator import RunningEmulator, smallest_input
from tests.support.npm import run_script
from tests.support.sketches import picture

ODD = {
    "one_wide": picture(1, (1, 300)),
    "one_high": picture(2, (4000, 1)),
    "one_pixel": picture(3, (1, 1)),
    "alpha": picture(4, mode="RGBA"),
    "grey_alpha": picture(5, mode="LA"),
    "palette": picture(6, mode="P"),
    "bilevel": picture(7, mode="1"),
    "grey": picture(8, mode="L"),
    "sixteen_bit": picture(9, mode="I;16"),
    "cmyk_jpeg": picture(10, mode="CMYK", fmt="JPEG"),
    "turned_jpeg": picture(
        11, fmt="JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
    ),
    "webp": picture(12, fmt="WEBP"),
    "twenty_megapixels": picture(13, (5472, 3648), fmt="JPEG"),
}


async def _model(emulator: RunningEmulator, data: bytes) -> bytes:
    url = await emulator.upload(data)
    result = await emulator.result({"image_url": url})
    return (await emulator.http.get(result.json()["model_mesh"]["url"])).content


async def test_every_kind_of_picture_makes_a_valid_model(emulator: RunningEmulator, tmp_path: Path) -> None:
    models = await asyncio.gather(*(_model(emulator, data) for data in ODD.values()))
    files = [tmp_path / f"{name}.glb" for name in ODD]
    for file, model in zip(files, models, strict=True):
        file.write_bytes(model)
    reports = await run_script("validate.js", *files)

    assert len(set(models)) == len(ODD)
    assert [report for report in reports if report["numErrors"] or report["numWarnings"]] == []


async def test_one_picture_always_makes_the_same_model(emulator: RunningEmulator) -> None:
    first, again, other = [await _model(emulator, picture(seed)) for seed in (1, 1, 2)]

    assert first == again
    assert first != other


async def test_the_relief_rises_where_the_picture_is_bright(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture(1, (64, 64), mode="L"))
    result = await emulator.result({"image_url": url, "output_format": "obj"}, "fal-ai/triposr")
    text = (await emulator.http.get(result.json()["model_mesh"]["url"])).text
    heights = [float(line.split()[3]) for line in text.splitlines() if line.startswith("v ")]

    assert len(heights) == 33 * 33
    assert 0 <= min(heights) < max(heights) <= 0.25


@pytest.mark.long
@pytest.mark.parametrize(
    ("endpoint", "field"),
    [(one.id, one.limit) for one in ENDPOINTS.values() if one.limit],
)
async def test_the_face_limit_is_kept(
    emulator: RunningEmulator, tmp_path: Path, endpoint: str, field: str
) -> None:
    url = await emulator.upload(picture(1))
    model = await emulator.upload(b"glTF", "model.glb")
    needed = smallest_input(ENDPOINTS[endpoint], url, model)
    file = tmp_path / "model.glb"
    counts = []
    for limit in (100, 1000):
        output = (await emulator.result({**needed, field: limit}, endpoint)).json()
        made = output.get("model_mesh") or output["model_glb"]
        file.write_bytes((await emulator.http.get(made["url"])).content)
        counts.append((await run_script("validate.js", file))[0]["triangles"])

    assert 50 < counts[0] <= 100 < counts[1] <= 1000


async def test_quad_makes_fbx_of_quads(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture(1))
    result = (await emulator.result({"image_url": url, "quad": True})).json()
    text = (await emulator.http.get(result["model_mesh"]["url"])).text

    assert result["model_mesh"]["file_name"] == "model.fbx"
    assert text.startswith("; FBX 7.4.0")
    assert text.count("{") == text.count("}")
    indices = text.split("PolygonVertexIndex: *")[1].split("a: ")[1].split("\n")[0].split(",")
    assert all((int(index) < 0) == (at % 4 == 3) for at, index in enumerate(indices))


async def test_stl_has_as_many_triangles_as_it_says(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture(1))
    arguments = {"input_image_urls": [url], "geometry_file_format": "stl"}
    result = (await emulator.result(arguments, "fal-ai/hyper3d/rodin/v2")).json()
    data = (await emulator.http.get(result["model_mesh"]["url"])).content

    assert len(data) == 84 + 50 * int.from_bytes(data[80:84], "little") > 84
