"""`make docs`: the site is built strictly, and is read from a file without a network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.async_api import Page, Request, async_playwright, expect

from tests.site.pages import ROOT

pytestmark = pytest.mark.long

TOOL = ROOT / "tools/site"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the site is built from."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copytree(TOOL, tmp_path / "tools/site", symlinks=True)
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    return tmp_path


def build(project: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [project / "tools/site/build.sh"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PATH": path},
    )


async def test_every_page_is_read_and_searched_from_a_file_without_a_network(project: Path) -> None:
    done = build(project)
    assert done.returncode == 0, done.stdout + done.stderr
    site = project / "site"
    written = {
        path.relative_to(project / "docs").with_suffix(".html") for path in project.glob("docs/**/*.md")
    }
    assert written <= {path.relative_to(site) for path in site.rglob("*.html")}

    asked: list[str] = []
    failed: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    def note_failure(request: Request) -> None:
        # The browser drops what a page still loads, its icon for one, when it goes on to the next page.
        if request.failure != "net::ERR_ABORTED":
            failed.append(f"{request.url}: {request.failure}")

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-background-networking"]
        )
        page = await browser.new_page()
        page.on("request", note)
        page.on("requestfailed", note_failure)
        page.on("pageerror", lambda error: failed.append(str(error)))
        for name in sorted(written):
            await page.goto((site / name).as_uri())
            await expect(page.locator("h1").first).to_be_visible()
        await _search(page, site)
        await browser.close()
    assert failed == []
    addresses = [urlsplit(url) for url in asked]
    assert {address.scheme for address in addresses} <= {"file", "data", "blob"}
    files = {Path(unquote(address.path)) for address in addresses if address.scheme == "file"}
    assert {path for path in files if not path.is_file()} == set()


async def _search(page: Page, site: Path) -> None:
    await page.goto((site / "index.html").as_uri())
    await page.keyboard.press("/")
    await page.keyboard.type("idempotency", delay=20)
    await expect(
        page.locator("a[href*='howto/http.html']:visible").filter(has_text="Send").first
    ).to_be_visible()


@pytest.mark.parametrize(
    "faults",
    [
        {
            "[nowhere](nowhere.md)": "page does not exist",
            "[no anchor](settings.md#no-such-anchor)": "anchor does not exist",
        },
        {
            '<a href="nowhere.html">raw</a>': "nowhere.html does not exist",
            '<a href="settings.html#no-such-anchor">raw</a>': "#no-such-anchor has no such anchor",
            '<script src="https://example.org/a.js"></script>': "loads https://example.org/a.js",
            "![remote](https://example.org/a.png)": "loads https://example.org/a.png",
            '<p style="background: url(//example.org/b.png)">x</p>': "loads url(//example.org/b.png",
        },
    ],
    ids=["of Markdown", "of HTML"],
)
def test_broken_links_and_loads_from_the_network_fail_the_build(
    project: Path, faults: dict[str, str]
) -> None:
    with (project / "docs/index.md").open("a") as page:
        page.write("\n\n".join(["", *faults, ""]))
    done = build(project)
    assert done.returncode != 0
    for said in faults.values():
        assert said in done.stdout + done.stderr
