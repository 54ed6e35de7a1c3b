"""The programs of the documentation's page about the JavaScript client, as they are printed."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.javascript.conftest import KEY
from tests.site.pages import DOCS, blocks, table, words
from tests.support.javascript import PACKAGE, run_node
from tests.support.javascript_package import DOM, browser_page, checked
from tests.support.pictures import picture
from tests.support.up_process import Up

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]  # npm and tsc on a machine that may be busy
PAGE = DOCS / "howto/javascript.md"
PROGRAMS = {one.title: one for one in blocks(PAGE) if one.title}


def _written(title: str, folder: Path) -> Path:
    path = folder / title
    path.write_text(PROGRAMS[title].text, encoding="utf-8")
    return path


async def test_the_program_in_node(project: Path, up: Up, tmp_path: Path) -> None:
    program = _written("make-models.mjs", project)
    for seed, name in enumerate(("chair.jpg", "lamp.jpg")):
        (tmp_path / name).write_bytes(picture("jpeg", (200, 200), seed=6700 + seed))
    pictures = [str(tmp_path / name) for name in ("chair.jpg", "lamp.jpg")]
    said = await run_node(program, *pictures, folder=project, I2M_URL=up.url, I2M_API_KEY=KEY)
    assert re.match(r"about \d+\.\d+ USD\n", said), said
    assert {"chair.jpg succeeded", "lamp.jpg succeeded"} <= {*said.splitlines()}
    for name in ("chair", "lamp"):
        assert (project / f"models/{name}.glb").read_bytes()[:4] == b"glTF"
    shutil.rmtree(project / "models")


async def test_the_page_in_a_browser(site: str, project: Path, up: Up, tmp_path: Path) -> None:
    page = _written("page.html", project)
    address = 'url: "http://127.0.0.1:8000"'
    assert address in page.read_text()
    page.write_text(page.read_text().replace(address, f'url: "{up.url}", key: "{KEY}"'))
    (tmp_path / "chair.png").write_bytes(picture("png", (200, 200), seed=6710))
    async with browser_page(f"{site}/page.html") as shown:
        await shown.set_input_files("#pictures", tmp_path / "chair.png")
        await expect(shown.locator("#models li")).to_contain_text("chair.png: succeeded", timeout=60_000)
        assert await shown.locator("#sent").evaluate("(bar) => bar.value") == 1


def test_the_program_in_typescript(project: Path, tmp_path: Path) -> None:
    checked(project, _written("statuses.ts", tmp_path), lib=DOM, types=())


def test_every_method_is_in_the_table() -> None:
    named = words(table(PAGE, "What it can do")) | _called(table(PAGE, "What it can do"))
    declared = (PACKAGE / "src/client.js").read_text()
    private = {"constructor", "pay", "bytes"}
    methods = {*re.findall(r"^  (?:async )?\*?(\w+)\(", declared, re.MULTILINE)} - private
    assert methods == named


def _called(cells: list[str]) -> set[str]:
    return set(re.findall(r"`(\w+)\(", " ".join(cells)))
