"""Each endpoint takes its own spelling of the picture and answers in its own shape."""

import io
import zipfile

import pytest

from fal_emulator.endpoints import ENDPOINTS
from tests.support.emulator import TRIPO, RunningEmulator, smallest_input
from tests.support.sketches import picture


def _files(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["url"]] if "url" in value else []
        return own + [url for item in value.values() for url in _files(item)]
    return [url for item in value for url in _files(item)] if isinstance(value, list) else []


@pytest.mark.long
@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_result_has_the_endpoints_own_shape(emulator: RunningEmulator, endpoint: str) -> None:
    row = ENDPOINTS[endpoint]
    url = await emulator.upload(picture(1))
    model = await emulator.upload(b"glTF", "model.glb")
    result = await emulator.result(smallest_input(row, url, model), endpoint)
    files = _files(result.json())

    assert result.status_code == 200, result.text
    assert {name for name, one in row.outputs.items() if one.required} <= set(result.json())
    assert set(result.json()) <= set(row.outputs)
    assert files
    assert {(await emulator.http.get(file)).status_code for file in files} == {200}


async def test_lists_and_objects_of_files(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture(1))
    meshy = await emulator.result({"image_url": url, "enable_pbr": True}, "fal-ai/meshy/v6/image-to-3d")
    sam = await emulator.result({"image_url": url}, "fal-ai/sam-3/3d-objects")
    archive = await emulator.http.get(sam.json()["artifacts_zip"]["url"])

    assert set(meshy.json()["model_urls"]) == {"glb", "fbx", "obj", "usdz", "stl", "blend"}
    assert meshy.json()["model_urls"]["blend"] is None
    assert set(meshy.json()["texture_urls"][0]) == {"base_color", "metallic", "normal", "roughness"}
    assert sam.json()["individual_glbs"] == [sam.json()["model_glb"]]
    assert zipfile.ZipFile(io.BytesIO(archive.content)).namelist() == ["model.glb", "splat.ply"]


@pytest.mark.parametrize(
    ("arguments", "kind", "field"),
    [
        ({}, "missing", "image_url"),
        ({"image_url": 7}, "string_type", "image_url"),
        ({"image_url": "data:,x", "face_limit": "many"}, "int_parsing", "face_limit"),
        ({"image_url": "data:,x", "face_limit": 2.5}, "int_from_float", "face_limit"),
        ({"image_url": "data:,x", "face_limit": [7]}, "int_type", "face_limit"),
        ({"image_url": "data:,x", "face_limit": 0}, "greater_than_equal", "face_limit"),
        ({"image_url": "data:,x", "quad": "perhaps"}, "bool_parsing", "quad"),
        ({"image_url": "data:,x", "quad": None}, "bool_type", "quad"),
        ({"image_url": "data:,x", "texture": "8K"}, "literal_error", "texture"),
        ({"image_url": "data:image/png;base64,AAAA"}, "image_load_error", "image_url"),
        ({"image_url": "data:image/png;base64,?"}, "image_load_error", "image_url"),
        ({"image_url": "http://127.0.0.1:9/a.png"}, "image_load_error", "image_url"),
        ({"image_url": "https://example.com/a.png"}, "image_load_error", "image_url"),
        ({"image_url": "no url"}, "image_load_error", "image_url"),
    ],
)
async def test_wrong_input_is_a_422_that_names_the_field(
    emulator: RunningEmulator, arguments: dict[str, object], kind: str, field: str
) -> None:
    result = await emulator.result(arguments)
    error = result.json()["detail"][0]

    assert result.status_code == 422
    assert (error["type"], error["loc"]) == (kind, ["body", field])
    assert error["msg"]
    assert (await emulator.ledger())["submissions"][0]["outcome"] == "failed"


async def test_picture_by_data_uri_and_by_loopback_url(emulator: RunningEmulator) -> None:
    import base64

    data = picture(1)
    uri = "data:image/png;base64," + base64.b64encode(data).decode()
    url = (await emulator.upload(data)).replace("127.0.0.1", "localhost")
    results = [await emulator.result({"image_url": source}) for source in (uri, url)]
    models = [(await emulator.http.get(one.json()["model_mesh"]["url"])).content for one in results]

    assert models[0] == models[1]
    assert len((await emulator.ledger())["submissions"][0]["input"]["image_url"]) < 200


async def test_unknown_endpoint_is_404(emulator: RunningEmulator) -> None:
    reply = await emulator.submit({}, "fal-ai/no-such-model")

    assert reply.status_code == 404
    assert "x-fal-request-id" in reply.headers
    assert (await emulator.ledger())["submissions"] == []


async def test_body_that_is_no_json_object_is_422_and_not_accepted(emulator: RunningEmulator) -> None:
    replies = [await emulator.http.post(f"/{TRIPO}", content=body) for body in (b"", b"[1]", b"\xff{")]

    assert [reply.status_code for reply in replies] == [422, 422, 422]
    assert (await emulator.ledger())["submissions"] == []
