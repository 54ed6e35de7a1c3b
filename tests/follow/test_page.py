"""The programs of `docs/howto/follow.md`, taken from the page and run against the service."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route, async_playwright

from tests.follow.runs import Program, follow_everywhere, run, waiting_job
from tests.site.pages import DOCS, blocks
from tests.support.npm import FOLDER as NPM
from tests.support.up_process import Up

pytestmark = pytest.mark.long

PAGE = DOCS / "howto/follow.md"
FETCH_PAGE = """<!doctype html><title>Follow</title><pre id="log"></pre>
<script type="importmap">{"imports": {"@microsoft/fetch-event-source": "/npm/index"}}</script>
<script type="module">
  import { follow } from "/follow-fetch.js";
  const print = (text) => document.getElementById("log").append(`${text}\\n`);
  const job = new URLSearchParams(location.search).get("job");
  follow("/api/v1", job, print).catch((error) => print(error.message));
</script>"""


@pytest.fixture(scope="module")
def service() -> Iterator[Up]:
    """`up` with its emulator, without keys."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        up = Up(Path(folder) / "data", "--port", "0", "--latency", "1s", I2M_LOG_LEVEL="warning")
        try:
            yield up.ready()
        finally:
            up.end()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
            ],
        )
        yield chromium
        await chromium.close()


def text_of(title: str) -> str:
    (block,) = [one for one in blocks(PAGE) if one.title == title]
    return block.text


def written(title: str, folder: Path) -> Path:
    path = folder / title
    path.write_text(text_of(title), encoding="utf-8")
    return path


def bash(folder: Path) -> list[str | Path]:
    return ["bash", written("follow.sh", folder)]


def node(folder: Path) -> list[str | Path]:
    (folder / "node_modules").symlink_to(NPM / "node_modules")
    return ["node", written("follow-eventsource.mjs", folder)]


def python(title: str, folder: Path) -> list[str | Path]:
    return [sys.executable, written(title, folder)]


def go(folder: Path) -> list[str | Path]:
    program = folder / "follow"
    environment = {"GOCACHE": str(folder / "cache"), "GOFLAGS": "", "GO111MODULE": "off"}
    compile_with(["go", "build", "-o", program, written("follow.go", folder)], folder, **environment)
    return [program]


def dotnet(folder: Path) -> list[str | Path]:
    program = folder / "Follow.exe"
    source = written("Follow.cs", folder)
    compile_with(["mcs", "-r:System.Net.Http.dll", f"-out:{program}", source], folder)
    return ["mono", program]


def compile_with(argv: list[str | Path], folder: Path, **environment: str) -> None:
    done = subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


PROGRAMS: dict[str, Callable[[Path], list[str | Path]]] = {
    "curl": bash,
    "eventsource": node,
    "httpx-sse": partial(python, "follow_httpx.py"),
    "aiohttp": partial(python, "follow_aiohttp.py"),
    "go": go,
    "dotnet": dotnet,
}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_program(service: Up, tmp_path: Path, name: str) -> None:
    argv = PROGRAMS[name](tmp_path)
    await follow_everywhere(service.url, lambda url, job: run(argv, tmp_path, url, job))


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_program_gives_up_where_there_is_no_such_job(service: Up, tmp_path: Path, name: str) -> None:
    argv = PROGRAMS[name](tmp_path)
    with pytest.raises(AssertionError, match="404"):
        await asyncio.wait_for(run(argv, tmp_path, service.url, "0" * 32), 60)


def in_browser(browser: Browser, title: str) -> Program:
    """A page of the service's own origin, which the browser gets from the test."""

    async def serve(route: Route) -> None:
        path = route.request.url.partition("?")[0].rpartition("/")
        if path[0].endswith("/npm"):
            folder = NPM / "node_modules/@microsoft/fetch-event-source/lib/esm"
            code = (folder / f"{path[2]}.js").read_text(encoding="utf-8")
            await route.fulfill(body=code, content_type="text/javascript")
        elif path[2] == "follow-fetch.js":
            await route.fulfill(body=text_of("follow-fetch.js"), content_type="text/javascript")
        else:
            body = text_of("follow.html") if title == "follow.html" else FETCH_PAGE
            await route.fulfill(body=body, content_type="text/html; charset=utf-8")

    async def program(url: str, job_id: str) -> list[str]:
        page = await browser.new_page()
        try:
            await page.route(lambda address: "/api/v1/" not in address, serve)
            await page.goto(f"{url}/follow.html?job={job_id}")
            return await lines_of(page)
        finally:
            await page.close()

    return program


async def lines_of(page: Page) -> list[str]:
    """What the page shows once it has come to an end, and two reconnections later."""
    ended = "/^(complete|refused|status|.*[Ee]rror)/m.test(document.getElementById('log').textContent)"
    await page.wait_for_function(ended, timeout=90_000)
    await page.wait_for_timeout(4500)
    text: str = await page.evaluate("document.getElementById('log').textContent")
    return text.splitlines()


@pytest.mark.parametrize("title", ["follow.html", "follow-fetch.js"])
async def test_a_browser(service: Up, browser: Browser, title: str) -> None:
    await follow_everywhere(service.url, in_browser(browser, title))


@pytest.mark.parametrize(("title", "said"), [("follow.html", "refused"), ("follow-fetch.js", "status 404")])
async def test_a_browser_gives_up_where_there_is_no_such_job(
    service: Up, browser: Browser, title: str, said: str
) -> None:
    assert await in_browser(browser, title)(service.url, "0" * 32) == [said]


async def test_polling(service: Up, tmp_path: Path) -> None:
    argv: list[str | Path] = ["bash", written("poll.sh", tmp_path)]
    async with waiting_job(service.url) as job:
        polling = asyncio.create_task(run(argv, tmp_path, service.url, job.job_id))
        await job.begin()
        printed = await asyncio.wait_for(polling, 60)
        again = await asyncio.wait_for(run(argv, tmp_path, service.url, job.job_id), 60)
    assert printed[-2:] == again == ["succeeded 3 of 3", "complete succeeded"]
    with pytest.raises(AssertionError, match="404"):
        await asyncio.wait_for(run(argv, tmp_path, service.url, "0" * 32), 60)


def test_every_program_of_the_page_is_run() -> None:
    titles = {one.title for one in blocks(PAGE) if one.title}
    ran = {"poll.sh", "follow.sh", "follow.html", "follow-fetch.js", "follow-eventsource.mjs"}
    assert titles == ran | {"follow_httpx.py", "follow_aiohttp.py", "follow.go", "Follow.cs"}
