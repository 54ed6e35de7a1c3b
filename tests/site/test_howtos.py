"""The commands of the how-tos, run in the order of the page against the real service and its emulator."""

import base64
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.async_api import async_playwright

from image2model.client import Client
from tests.site.pages import DOCS, blocks
from tests.support import command
from tests.support.sketches import picture
from tests.support.up_process import Up

pytestmark = pytest.mark.long

URL = "http://127.0.0.1:8000"
"""What the pages print."""
_seeds = itertools.count()
SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"


@pytest.fixture(scope="module")
def service() -> Iterator[Up]:
    """`up` with its emulator, without keys; it calls webhooks on this machine."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        settings = {
            "I2M_WEBHOOK_ALLOW_PRIVATE": "1",
            "I2M_WEBHOOK_SECRET": SECRET,
            "I2M_LOG_LEVEL": "warning",
        }
        up = Up(Path(folder) / "data", "--port", "0", **settings)
        try:
            yield up.ready()
        finally:
            up.end()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The pictures that the pages name; new ones for each test, so that none has a model already."""
    (tmp_path / "photos/set").mkdir(parents=True)
    (tmp_path / "products/chair").mkdir(parents=True)
    views = ("chair/front.jpg", "chair/back.jpg", "chair/left.jpg", "lamp_front.jpg", "lamp-back.jpg")
    pictures = ("chair.jpg", "lamp.jpg", "photos/one.jpg", "photos/set/cup.jpg")
    for name in (*pictures, *(f"products/{view}" for view in views)):
        (tmp_path / name).write_bytes(picture(fmt="JPEG", seed=next(_seeds)))
    return tmp_path


def environment(url: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return command.environment(PATH=path, I2M_URL=url)


def run(page: str, url: str, folder: Path) -> str:
    """All commands of a page that are not exempt, as one script; its output."""
    script = ["set -euo pipefail"]
    for block in blocks(DOCS / page):
        if block.title:
            (folder / block.title).write_text(block.text.replace(URL, url), encoding="utf-8")
        elif block.language == "sh" and not block.skipped:
            script.append(block.text.replace(URL, url))
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=folder,
        env=environment(url),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shape(text: str) -> str:
    """The text without what differs from run to run: its numbers."""
    return re.sub(r"\d+", "N", text)


def is_model(path: Path) -> bool:
    return path.read_bytes()[:4] == b"glTF"


def test_the_first_model(service: Up, folder: Path) -> None:
    said = run("howto/first-model.md", service.url, folder)
    assert is_model(folder / "models/chair.glb")
    (printed,) = [one.text for one in blocks(DOCS / "howto/first-model.md") if "triangles" in one.text]
    assert shape(printed).splitlines()[:3] == shape(said).splitlines()[:3]


def test_a_folder_of_pictures(service: Up, folder: Path) -> None:
    said = run("howto/folder.md", service.url, folder)
    assert is_model(folder / "models/one.glb")
    assert is_model(folder / "models/set/cup.glb")
    assert is_model(folder / "low/chair.glb")
    assert is_model(folder / "other/chair.glb")
    assert "2 would be bought at 0.30 USD each: 0.60 USD" in said
    assert all(is_model(folder / f"variants/chair-v{number}.glb") for number in range(1, 5))
    assert is_model(folder / "compared/fal-ai_trellis/chair.glb")
    assert is_model(folder / "compared/tripo3d_tripo_v2.5_image-to-3d/chair.glb")
    assert is_model(folder / "prepared/chair.glb")
    assert (folder / "report.html").stat().st_size > 1000
    assert list((folder / "again").glob("*.glb"))


def test_objects_of_several_views(service: Up, folder: Path) -> None:
    said = run("howto/objects.md", service.url, folder)
    assert "2 would be bought at" in said
    assert "2 objects: 2 models saved" in said
    assert said.count('"filename":"desk"') == 2  # by part names, and by manifest
    assert "office chair ['front', 'back'] succeeded" in said
    for made in ("models/chair.glb", "models/lamp.glb", "from-views/office chair.glb"):
        assert is_model(folder / made)


def test_the_integration_by_http(service: Up, folder: Path) -> None:
    said = run("howto/http.md", service.url, folder)
    assert said.count("event: complete") >= 2  # the job's, and that of a second step on it
    assert "\n304\n" in said
    assert is_model(folder / "chair.glb")
    for made in ("from-python", "from-node"):
        assert is_model(folder / made / "chair.glb")
        assert is_model(folder / made / "lamp.glb")
    assert (folder / "models.zip").read_bytes()[:2] == b"PK"


def test_the_answer_of_an_upload_that_waits(service: Up, folder: Path) -> None:
    """The programs of the page are run in `tests/follow`."""
    assert run("howto/follow.md", service.url, folder) == "succeeded\n"


@pytest.mark.long
def test_uploads_with_other_languages(service: Up, folder: Path) -> None:
    programs = {one.title: one.text for one in blocks(DOCS / "howto/http.md") if one.title}
    for name in ("upload.php", "Upload.cs", "upload.py"):
        (folder / name).write_text(programs[name], encoding="utf-8")
    pictures = "chair.jpg lamp.jpg"
    commands = {
        "PHP": f"php upload.php {pictures}",
        "C#": f"mcs -r:System.Net.Http Upload.cs && mono Upload.exe {pictures}",
        "Python": f"python upload.py {pictures}",
    }
    for language, command_line in commands.items():
        said = subprocess.run(
            ["bash", "-ec", command_line],
            cwd=folder,
            env=environment(service.url),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        found = re.search(r"[0-9a-f]{32}", said)
        assert found is not None, said
        with Client(service.url) as client:
            job = client.job(found[0])
        assert ([one.filename for one in job.images], job.metadata) == (pictures.split(), {"order": 1001}), (
            language
        )


async def test_upload_by_a_page_without_a_script(service: Up, folder: Path) -> None:
    (page_text,) = [one.text for one in blocks(DOCS / "howto/http.md") if one.title == "upload.html"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = await browser.new_page()
        await page.route(
            "**/upload.html", lambda route: route.fulfill(body=page_text, content_type="text/html")
        )
        await page.goto(f"{service.url}/upload.html")
        await page.locator('input[type="file"]').set_input_files([folder / "chair.jpg", folder / "lamp.jpg"])
        async with page.expect_navigation():
            await page.locator("button").click()
        said = json.loads(await page.locator("body").inner_text())
        await browser.close()
    assert [one["filename"] for one in said["images"]] == ["chair.jpg", "lamp.jpg"]


def test_the_receiver_of_webhooks_takes_ours_and_no_forged_one(service: Up, folder: Path) -> None:
    (program,) = [one for one in blocks(DOCS / "howto/http.md") if one.title == "receive.py"]
    with receiver(program.text, folder) as (port, lines):
        address = f"http://127.0.0.1:{port}/hook"
        with Client(service.url) as client:
            job = client.submit([folder / "chair.jpg"], webhook_url=address)
        assert lines() == f"job.finished {job.job_id} succeeded"
        forged = Request(
            address, b"{}", {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
        )
        with pytest.raises(HTTPError) as refused:
            urlopen(forged, timeout=60)  # noqa: S310 - on loopback
        assert refused.value.code == 400
        refused.value.close()


@contextmanager
def receiver(program: str, folder: Path) -> Iterator[tuple[int, Callable[[], str]]]:
    """The program as a process, on a free port; what gives its next line."""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**environment(URL), "PORT": "0", "WEBHOOK_SECRET": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    out = process.stdout
    try:
        yield int(out.readline().split()[-1]), lambda: out.readline().strip()
    finally:
        process.kill()
        process.wait()
        out.close()
