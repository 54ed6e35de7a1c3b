"""What a result's files can be: of another kind, missing, elsewhere, or spoilt on their way."""

import asyncio
import gzip
import json
import struct
from typing import Any

import httpx
import pytest

from fal_emulator.config import Config
from tests.support.emulator import RunningEmulator, running_emulator
from tests.support.sketches import picture


async def _output(emulator: RunningEmulator, fault: str, **arguments: object) -> dict[str, Any]:
    url = await emulator.upload(picture())
    result = await emulator.result({"image_url": url, **arguments}, x_emulator_fault=fault)
    return dict(result.json())


async def _model(emulator: RunningEmulator, fault: str) -> bytes:
    output = await _output(emulator, fault)
    return (await emulator.http.get(output["model_mesh"]["url"])).content


def _document(glb: bytes) -> dict[str, Any]:
    (length,) = struct.unpack_from("<I", glb, 12)
    return dict(json.loads(glb[20 : 20 + length]))


async def test_points_alone(emulator: RunningEmulator) -> None:
    document = _document(await _model(emulator, "points_only"))
    primitive = document["meshes"][0]["primitives"][0]

    assert primitive["mode"] == 0
    assert "indices" not in primitive


async def test_fault_spoils_one_result_of_a_picture_and_no_other(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture())

    async def modes(**headers: str) -> list[int | None]:
        result = await emulator.result({"image_url": url}, **headers)
        model = (await emulator.http.get(result.json()["model_mesh"]["url"])).content
        return [one.get("mode") for one in _document(model)["meshes"][0]["primitives"]]

    whole = await modes()
    assert await modes(x_emulator_fault="points_only") == [0]
    assert await modes() == whole != [0]


async def test_positions_without_bounds(emulator: RunningEmulator) -> None:
    accessors = _document(await _model(emulator, "no_bounds"))["accessors"]

    assert not any({"min", "max"} & set(accessor) for accessor in accessors)


async def test_bytes_behind_the_end(emulator: RunningEmulator) -> None:
    glb = await _model(emulator, "bytes_behind")

    assert len(glb) == int.from_bytes(glb[8:12], "little") + 7


async def test_splats_are_named_as_such(emulator: RunningEmulator) -> None:
    splat = await _output(emulator, "unknown_format")
    spz = await _output(emulator, "unknown_format=spz")
    files = [(await emulator.http.get(one["model_mesh"]["url"])).content for one in (splat, spz)]
    head = struct.unpack_from("<III", gzip.decompress(files[1]))

    assert (splat["model_mesh"]["file_name"], spz["model_mesh"]["file_name"]) == ("model.splat", "model.spz")
    assert splat["model_mesh"]["content_type"] == "application/octet-stream"
    assert len(files[0]) % 32 == 0
    assert head == (0x5053474E, 2, len(files[0]) // 32)


async def test_a_cut_model_is_announced_whole(emulator: RunningEmulator) -> None:
    file = (await _output(emulator, "model_truncated"))["model_mesh"]
    content = (await emulator.http.get(file["url"])).content

    assert len(content) == file["file_size"] // 2


async def test_preview_missing_or_elsewhere(emulator: RunningEmulator) -> None:
    missing = (await _output(emulator, "preview_missing"))["rendered_image"]["url"]
    elsewhere = (await _output(emulator, "preview_elsewhere"))["rendered_image"]["url"]

    assert (await emulator.http.get(missing)).status_code == 404
    assert elsewhere.startswith(f"{emulator.elsewhere}/files/")
    assert (await emulator.http.get(elsewhere)).content[:2] == b"\xff\xd8"


@pytest.mark.parametrize(("which", "spoilt"), [("model", [True, False]), ("preview", [False, True])])
async def test_a_spoilt_transfer_is_of_the_named_file(
    emulator: RunningEmulator, which: str, spoilt: list[bool]
) -> None:
    output = await _output(emulator, f"file_empty={which}")
    files = [await emulator.http.get(output[name]["url"]) for name in ("model_mesh", "rendered_image")]

    assert [file.status_code for file in files] == [200, 200]
    assert [file.content == b"" for file in files] == spoilt


async def test_html_in_place_of_all_files(emulator: RunningEmulator) -> None:
    output = await _output(emulator, "file_html=all")
    files = [await emulator.http.get(output[name]["url"]) for name in ("model_mesh", "rendered_image")]

    assert {file.headers["content-type"].split(";")[0] for file in files} == {"text/html"}


async def test_redirected_file(emulator: RunningEmulator) -> None:
    url = (await _output(emulator, "file_redirect"))["model_mesh"]["url"]
    first = await emulator.http.get(url)
    followed = await emulator.http.get(first.headers["location"])

    assert (first.status_code, first.content) == (302, b"")
    assert followed.content[:4] == b"glTF"


async def test_slow_file_comes_whole_and_takes_its_time() -> None:
    async with running_emulator(Config(latency=0.01, slow_transfer=0.3)) as emulator:
        file = (await _output(emulator, "file_slow"))["model_mesh"]
        started = asyncio.get_running_loop().time()
        content = (await emulator.http.get(file["url"])).content

        assert len(content) == file["file_size"]
        assert asyncio.get_running_loop().time() - started >= 0.25


async def test_stuck_file_opens_and_brings_nothing(emulator: RunningEmulator) -> None:
    file = (await _output(emulator, "file_stuck"))["model_mesh"]
    async with emulator.http.stream("GET", file["url"], timeout=0.3) as stream:
        assert int(stream.headers["content-length"]) == file["file_size"]
        with pytest.raises(httpx.ReadTimeout):
            await stream.aread()


async def test_stuck_file_ends_with_the_emulator() -> None:
    async with running_emulator(Config(latency=0.01)) as emulator:
        file = (await _output(emulator, "file_stuck"))["model_mesh"]
        async with emulator.http.stream("GET", file["url"]) as stream:
            emulator.state.close()
            with pytest.raises(httpx.RemoteProtocolError):
                await stream.aread()
