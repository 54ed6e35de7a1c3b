"""A whole service with keys, and a Blender that has the add-on."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.blender import Blender
from tests.support.heavy import has_blender
from tests.support.up_process import Up

KEY = "a-long-random-key-of-blender"


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        started = Up(
            Path(folder) / "data", "--port", "0", "--latency", "200ms",
            I2M_AUTH="keys", I2M_ADMIN_KEY=KEY, I2M_LOG_LEVEL="warning",
        )  # fmt: skip
        try:
            yield started.ready()
        finally:
            started.end()


@pytest.fixture(scope="module")
def enabled() -> Iterator[Blender]:
    """One Blender for all tests of a module: it takes seconds to start."""
    if not has_blender():
        pytest.skip("there is no bpy for this version of Python")
    with tempfile.TemporaryDirectory(prefix="i2m-blender-") as folder:
        blender = Blender(Path(folder))
        try:
            blender.run(
                "import addon_utils, image2model_addon as addon\n"
                "addon_utils.enable('image2model_addon', default_set=True, persistent=True)\n"
                "preferences = bpy.context.preferences.addons['image2model_addon'].preferences"
            )
            yield blender
        finally:
            blender.close()


@pytest.fixture
def blender(enabled: Blender, up: Up) -> Blender:
    """An empty scene, the cursor at (1, 2, 3), and preferences that are right."""
    enabled.run(
        "bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=False)\n"
        "bpy.context.scene.cursor.location = (1, 2, 3)\n"
        f"preferences = bpy.context.preferences.addons['image2model_addon'].preferences\n"
        f"preferences.url, preferences.api_key = {up.url!r}, {KEY!r}"
    )
    return enabled


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture that no other test has sent."""
    path = tmp_path / "my chair.png"
    noise = Image.effect_noise((64, 64), 90).convert("RGB")
    noise.save(path)
    return path
