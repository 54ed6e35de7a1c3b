"""A person who has only the wheel: installs it, starts it, sends a picture, looks at page and reference."""

import json
import shutil
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, expect

from tests.web.conftest import open_page, settled, watched_context
from tests.wheel.conftest import BIN, ROOT, Machine, first_model, running

pytestmark = [pytest.mark.long, pytest.mark.timeout(700)]  # some 40 packages are installed

VISIBLE = """async () => {
  const viewer = document.querySelector('.stage model-viewer');
  const once = (seen) => viewer.addEventListener('model-visibility', seen, { once: true });
  if (!viewer.modelIsVisible) await new Promise(once);
  return viewer.modelIsVisible;
}"""
"""Whether the viewer has a model loaded and shown. tests/web/test_viewer.py looks at its pixels."""
PATIENCE_MS = 120_000
WHERE = (
    "import json, image2model, fal_emulator; print(json.dumps([image2model.__file__, fal_emulator.__file__]))"
)


@pytest.mark.draws
@pytest.mark.asyncio(loop_scope="session")
async def test_pip_installs_the_whole_program(machine: Machine, wheel: Path, browser: Browser) -> None:
    environment = machine.home / "env"
    machine.run("python3", "-m", "venv", environment)
    program = environment / "bin" / "image2model"
    machine.run(environment / "bin" / "pip", "install", "--quiet", copied(wheel, machine))
    files = json.loads(machine.run(environment / "bin" / "python", "-c", WHERE))
    assert all(Path(one).is_relative_to(environment) for one in files)
    assert not any(Path(one).is_relative_to(ROOT) for one in files)

    with running(machine, [program]) as service:
        assert any("no FAL_KEY is set" in line for line in service.lines)
        assert first_model(machine, [program], service)[:4] == b"glTF"
        async with watched_context(browser, service.url) as context:
            context.set_default_timeout(PATIENCE_MS)
            await _page_draws(context)
            await _reference_is_shown(context)


def copied(wheel: Path, machine: Machine) -> str:
    """The wheel in the working directory, as README's commands name it."""
    shutil.copy(wheel, machine.home)
    return f"./{wheel.name}"


async def _page_draws(context: BrowserContext) -> None:
    """The 3D viewer shows the model that was made."""
    page = await open_page(context)
    await page.set_viewport_size({"width": 800, "height": 600})  # fewer pixels for software to draw
    await settled(page, "succeeded", 1)
    await page.locator(".card-open").click()
    await page.wait_for_selector(".stage[data-shown]")
    assert await page.evaluate(VISIBLE)
    await page.close()


async def _reference_is_shown(context: BrowserContext) -> None:
    page = await context.new_page()
    await page.goto("/api/v1/docs")
    await page.wait_for_selector("html[data-ready] .opblock")
    await expect(page.locator(".errors-wrapper")).to_have_count(0)


def test_uv_runs_it_without_an_installation(machine: Machine, wheel: Path) -> None:
    spec = copied(wheel, machine)
    (machine.path / "uv").symlink_to(BIN / "uv")
    image2model = ["uv", "tool", "run", "--quiet", "--python", "python3", "--from", spec, "image2model"]
    with running(machine, image2model) as service:
        assert first_model(machine, image2model, service)[:4] == b"glTF"


def test_pipx_runs_it_without_an_installation(machine: Machine, wheel: Path) -> None:
    (machine.path / "pipx").symlink_to(BIN / "pipx")
    image2model = ["pipx", "run", "--quiet", "--spec", copied(wheel, machine), "image2model"]
    with running(machine, image2model) as service:
        assert first_model(machine, image2model, service)[:4] == b"glTF"
