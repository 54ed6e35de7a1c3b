"""The add-on in a real Blender, in the background, with a real service and the emulator."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.blender.conftest import KEY
from tests.support.blender import ROOT, Blender, BlenderError
from tests.support.service import running_service
from tests.support.up_process import Up
from tests.support.wait import wait_until

pytestmark = pytest.mark.long

SELECTED = "result = [(one.name, one.type, list(one.location)) for one in bpy.context.selected_objects]"
RENDERED = """
scene = bpy.context.scene
scene.render.engine, scene.cycles.samples = 'CYCLES', 1
scene.render.resolution_x, scene.render.resolution_y = 64, 48
scene.render.image_settings.file_format = 'OPEN_EXR'
scene.camera = bpy.data.objects.new('camera', bpy.data.cameras.new('camera'))
scene.collection.objects.link(scene.camera)
bpy.ops.render.render()
"""


def call(up: Up, method: str, path: str) -> Any:
    request = urllib.request.Request(  # noqa: S310
        f"{up.url}/api/v1{path}", method=method, headers={"Authorization": f"Bearer {KEY}"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")


def fault(up: Up, **one: Any) -> None:
    emulator = re.search(r"http://\S+", next(line for line in up.seen if line.startswith("FAL emulator")))
    assert emulator is not None
    body = json.dumps(one).encode()
    request = urllib.request.Request(  # noqa: S310
        f"{emulator[0]}/_emulator/faults", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20):  # noqa: S310
        pass


def generate(picture: Path | str = "", **more: str) -> str:
    given = "".join(f", {name}={value!r}" for name, value in more.items())
    return f"bpy.ops.image2model.generate(filepath={str(picture)!r}{given})\n"


def start(blender: Blender, picture: Path) -> None:
    """Send it in a thread, as the operator does where there is a window."""
    blender.run(
        f"path = addon.Path({str(picture)!r})\n"
        "making = addon.Making(addon.service(), path.name, path.read_bytes(), '')\n"
        "making.start()"
    )


def test_a_file_becomes_a_model_at_the_cursor(blender: Blender, up: Up, picture: Path) -> None:
    assert blender.run(generate(picture) + SELECTED) == [["my chair", "MESH", [1, 2, 3]]]
    newest = call(up, "GET", "/jobs")["jobs"][0]
    image = call(up, "GET", f"/status/{newest['job_id']}")["images"][0]
    assert (image["filename"], image["size"]) == ("my chair.png", picture.stat().st_size)
    faces, materials = blender.run(
        "mesh = bpy.context.object.data\nresult = len(mesh.polygons), [one.name for one in mesh.materials]"
    )
    assert faces == image["result"]["mesh"]["triangles"]
    assert materials


def test_the_chosen_model_makes_it(blender: Blender, up: Up, picture: Path) -> None:
    listed = blender.run("bpy.ops.image2model.refresh_models()\nresult = [one[0] for one in addon._models]")
    assert "fal-ai/trellis" in listed
    blender.run(generate(picture, model="fal-ai/trellis"))
    assert call(up, "GET", "/jobs")["jobs"][0]["model"] == "fal-ai/trellis"


def test_the_render_is_sent_as_png_whatever_the_scene_writes(blender: Blender, up: Up) -> None:
    made = blender.run(RENDERED + generate(source="RENDER") + SELECTED)
    assert [one[0] for one in made] == ["render"]
    assert blender.run("result = scene.render.image_settings.file_format") == "OPEN_EXR"
    newest = call(up, "GET", "/jobs")["jobs"][0]
    image = call(up, "GET", f"/status/{newest['job_id']}")["images"][0]
    assert (image["filename"], image["width"], image["height"]) == ("render.png", 64, 48)


@pytest.mark.parametrize("kind", ["made", "float", "loaded", "packed"])
def test_an_image_of_the_file_is_sent(blender: Blender, up: Up, picture: Path, kind: str) -> None:
    if kind in ("made", "float"):
        code = (
            f"image = bpy.data.images.new('made', 40, 30, float_buffer={kind == 'float'})\n"
            "image.pixels = [0.2, 0.4, 0.6, 1.0] * 1200\n"
        )
    else:
        code = f"image = bpy.data.images.load({str(picture)!r})\n"
        code += "image.pack()\n" if kind == "packed" else ""
    before = "names = [one.name for one in bpy.data.images]\n"
    blender.run(code + before + "bpy.ops.image2model.generate(source='IMAGE', image_name=image.name)")
    newest = call(up, "GET", "/jobs")["jobs"][0]
    image = call(up, "GET", f"/status/{newest['job_id']}")["images"][0]
    made = kind in ("made", "float")
    assert image["filename"] == ("made.png" if made else "my chair.png")
    assert (image["width"], image["height"]) == ((40, 30) if made else (64, 64))
    if not made:
        assert image["size"] == picture.stat().st_size
    assert not blender.run("result = [name for name in names if name not in bpy.data.images]")


def test_key_and_address_are_not_in_the_blend_file(blender: Blender, picture: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "it.blend")
    blender.run(generate(picture) + f"bpy.ops.wm.save_as_mainfile(filepath={target!r}, compress=False)")
    saved = (tmp_path / "it.blend").read_bytes()
    assert b"my chair" in saved
    assert KEY.encode() not in saved
    assert blender.run("result = preferences.url").encode() not in saved


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("preferences.url = 'http://127.0.0.1:9'", "No answer from http://127.0.0.1:9 .*Start the service"),
        ("preferences.url = 'chair'", "write http://host:port in the add-on's preferences"),
        ("preferences.url = 'http://models.example'", "Allow Online Access"),
        ("preferences.api_key = 'wrong'", "does not take the key. Correct it in the add-on's preferences"),
    ],
)
def test_what_is_wrong_with_the_preferences_is_said(blender: Blender, setting: str, says: str) -> None:
    blender.run(setting)
    with pytest.raises(BlenderError, match=says):
        blender.run("bpy.ops.image2model.refresh_models()")


def test_a_refused_picture_is_said_in_the_services_words(blender: Blender, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    with pytest.raises(BlenderError, match=r"looks like text. Send a PNG"):
        blender.run(generate(tmp_path / "notes.png"))
    with pytest.raises(BlenderError, match=r"Choose a picture: .*No such file"):
        blender.run(generate(tmp_path / "none.png"))
    with pytest.raises(BlenderError, match="There is no picture to send"):
        blender.run(generate(source="IMAGE", image_name="none"))


def test_a_failed_image_is_said_with_advice(blender: Blender, up: Up, picture: Path) -> None:
    fault(up, kind="422", count=1)
    with pytest.raises(BlenderError, match=r"No model of my chair.png: .*Use another picture"):
        blender.run(generate(picture))
    assert blender.run(SELECTED) == []


@pytest.mark.parametrize("end", ["delete", "cancel"])
def test_a_job_that_ends_otherwise_is_said(blender: Blender, up: Up, picture: Path, end: str) -> None:
    call(up, "POST", "/admin/queues/model_generation/pause")
    try:
        start(blender, picture)
        wait_until(lambda: "waits for: paused" in blender.run("result = making.phase"), timeout=60)
        if end == "delete":
            call(up, "DELETE", f"/jobs/{blender.run('result = making.job_id')}")
        else:
            blender.run("making.cancel()")
        wait_until(lambda: not blender.run("result = making.is_alive()"), timeout=60)
    finally:
        call(up, "POST", "/admin/queues/model_generation/resume")
    says = "deleted or has expired" if end == "delete" else "Cancelled"
    assert says in blender.run("making.clean_up()\nresult = making.error")


def test_it_follows_on_when_the_service_was_away(blender: Blender, up: Up, picture: Path) -> None:
    start(blender, picture)
    wait_until(lambda: bool(blender.run("result = making.job_id")), timeout=60)
    (api,) = up.pids(" api")
    os.kill(api, signal.SIGKILL)
    wait_until(lambda: not blender.run("result = making.is_alive()"), timeout=100)
    assert blender.run("result = making.error, making.file.stat().st_size > 1000") == [None, True]
    blender.run("making.clean_up()")


def test_a_lost_answer_is_asked_for_again_with_the_same_key(enabled: Blender, picture: Path) -> None:
    with running_service() as double:
        double.lose_replies = 2
        enabled.run(
            f"path = addon.Path({str(picture)!r})\n"
            f"making = addon.Making(addon.Service({double.url!r}, ''), path.name, path.read_bytes(), '')\n"
            "making._patiently(making._upload, 60)\nmaking.clean_up()"
        )
        keys = [one["idempotency-key"] for one in double.headers]
        assert (len(keys), len(set(keys)), double.uploads) == (3, 1, [["my chair.png"]])
        assert enabled.run("result = addon._unanswered") == {}


@pytest.mark.parametrize(
    ("file_format", "export"),
    [
        ("obj", "wm.obj_export"),
        ("stl", "wm.stl_export"),
        ("ply", "wm.ply_export"),
        ("fbx", "export_scene.fbx"),
        ("usdz", "wm.usd_export"),
    ],
)
def test_other_formats_are_imported(blender: Blender, tmp_path: Path, file_format: str, export: str) -> None:
    path = tmp_path / f"cube.{file_format}"
    made = blender.run(
        "bpy.ops.mesh.primitive_cube_add()\n"
        f"bpy.ops.{export}(filepath={str(path)!r})\n"
        "bpy.ops.wm.read_homefile(use_empty=True)\n"
        f"addon.import_model(addon.Path({str(path)!r}), {file_format!r}, 'cube.png')\n"
        "result = sorted(one.type for one in bpy.context.selected_objects)"
    )
    assert "MESH" in made


def test_what_blender_cannot_import_is_kept(blender: Blender, tmp_path: Path) -> None:
    (tmp_path / "chair.3mf").write_bytes(b"PK")
    code = f"result = addon.import_model(addon.Path({str(tmp_path / 'chair.3mf')!r}), '3mf', 'chair.png')"
    for name in ("chair.3mf", "chair-2.3mf"):
        assert (
            blender.run(code) == f"Blender cannot import 3MF: kept as {blender.folder / 'Downloads' / name}"
        )
        assert (blender.folder / "Downloads" / name).read_bytes() == b"PK"


def test_nothing_is_left_when_it_is_turned_off(blender: Blender, picture: Path, tmp_path: Path) -> None:
    blender.run(f"import tempfile\ntempfile.tempdir = {str(tmp_path)!r}\n" + generate(picture))
    assert [path.name for path in tmp_path.iterdir()] == ["my chair.png"]
    left = blender.run(
        "import threading\n"
        "addon_utils.disable('image2model_addon', default_set=True)\n"
        "types = [name for name in dir(bpy.types) if 'image2model' in name.lower()]\n"
        "result = types, hasattr(bpy.types.WindowManager, 'image2model'), threading.active_count()\n"
        "addon_utils.enable('image2model_addon', default_set=True, persistent=True)"
    )
    assert left == [[], False, 1]


def test_it_installs_as_an_extension(up: Up, picture: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "tools" / "blender_extension.py", tmp_path], check=True)
    (archive,) = tmp_path.glob("*.zip")
    with closing(Blender(tmp_path / "blender", I2M_URL=up.url, I2M_API_KEY=KEY)) as blender:
        made = blender.run(
            f"bpy.ops.extensions.package_install_files(filepath={str(archive)!r}, repo='user_default')\n"
            + generate(picture)
            + SELECTED
        )
        assert "my chair" in [one[0] for one in made]
        names = blender.run("result = [one.module for one in bpy.context.preferences.addons]")
        assert "bl_ext.user_default.image2model" in names
