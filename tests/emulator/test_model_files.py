"""A caller's own files as results: by the flag and by the control route, under their own names."""

from pathlib import Path

import pytest

from fal_emulator.config import Config
from fal_emulator.model_files import read_model_file
from tests.support.emulator import RunningEmulator, running_emulator
from tests.support.sketches import picture


async def _file(emulator: RunningEmulator, fault: str = "", name: str = "model_mesh") -> dict[str, object]:
    arguments = {"image_url": await emulator.upload(picture())}
    result = await emulator.result(arguments, x_emulator_fault=fault)
    return dict(result.json()[name])


async def test_files_take_turns_under_their_own_name_and_type(tmp_path: Path) -> None:
    contents = {"my chair.glb": b"glTF, or not", "one.spz": b"\x1f\x8b" + bytes(100), "empty.obj": b""}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    files = tuple(read_model_file(tmp_path / name) for name in contents)
    async with running_emulator(Config(latency=0.01, model_files=files)) as emulator:
        made = [await _file(emulator) for _ in range(4)]
        fetched = [(await emulator.http.get(str(file["url"]))).content for file in made]

    assert [file["file_name"] for file in made] == ["my_chair.glb", "one.spz", "empty.obj", "my_chair.glb"]
    assert fetched == [*contents.values(), contents["my chair.glb"]]
    assert (made[0]["content_type"], made[0]["file_size"]) == ("model/gltf-binary", 12)
    assert made[1]["content_type"] == "application/octet-stream"


async def test_large_file_is_served_whole_in_ranges_and_without_memory(tmp_path: Path) -> None:
    path, size = tmp_path / "large.glb", 20_000_000
    with path.open("wb") as file:
        file.truncate(size)
    config = Config(latency=0.01, memory=1_000_000, model_files=(read_model_file(path),))
    async with running_emulator(config) as emulator:
        url = str((await _file(emulator))["url"])
        whole = await emulator.http.get(url)
        part = await emulator.http.get(url, headers={"Range": "bytes=5-1000004"})
        head = await emulator.http.head(url)

    assert len(whole.content) == size
    assert (part.status_code, len(part.content)) == (206, 1_000_000)
    assert (head.headers["content-length"], head.content) == (str(size), b"")


async def test_upload_by_the_control_route_and_delete(emulator: RunningEmulator) -> None:
    headers = {"X-Fal-File-Name": "../my.splat", "Content-Type": "application/x-splat"}
    await emulator.http.post("/_emulator/model-files", content=b"splat!", headers=headers)
    own = await _file(emulator)
    cut = await _file(emulator, "model_truncated")
    await emulator.http.delete("/_emulator/model-files")

    assert (own["file_name"], own["content_type"]) == ("my.splat", "application/x-splat")
    assert (await emulator.http.get(str(cut["url"]))).content == b"spl"
    assert (await _file(emulator))["file_name"] == "model.glb"


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_model_file(tmp_path / "none.glb")
