"""The API reference at `/docs`, as its viewer shows it in a browser.

The fixtures' context fails a test whose page asks another host for anything or says an error in its console,
a violation of the content policy included.
"""

import json
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect
from starlette.applications import Starlette

from image2model import web
from image2model.web import files
from tests.support.pictures import picture
from tests.support.up_process import Up
from tests.web.conftest import Service, picture_of, sign_in, watched_context

pytestmark = pytest.mark.long

DOCS = "/api/v1/docs"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

in_browser = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def without_keys() -> Iterator[str]:
    """The address of a service that asks nobody for a key."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        up = Up(Path(folder) / "data", "--port", "0", "--latency", "200ms", I2M_LOG_LEVEL="warning")
        try:
            yield up.ready().url
        finally:
            up.end()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser, without_keys: str) -> AsyncIterator[Page]:
    """The reference of the service without keys."""
    async with watched_context(browser, without_keys) as context:
        yield await shown(context)


async def shown(context: BrowserContext) -> Page:
    """The reference, as soon as the viewer shows it."""
    page = await context.new_page()
    await page.goto(DOCS)
    await page.wait_for_selector("html[data-ready] .opblock")
    return page


async def opened(page: Page, operation: str) -> Locator:
    """An operation by its id, unfolded, with the fields of "Try it out"."""
    block = page.locator(f".opblock[id$='-{operation}']")
    await block.locator(".opblock-summary-control").click()
    await block.locator(".try-out__btn").click()
    return block


async def executed(block: Locator, status: int) -> str:
    """Call it. Returns the answer's body as it is shown."""
    await block.locator(".execute").click()
    answer = block.locator(".live-responses-table tbody tr").first
    await expect(answer.locator(".response-col_status")).to_have_text(str(status))
    body = answer.locator(".highlight-code code")
    return await body.inner_text() if await body.count() else ""


async def upload(block: Locator) -> str:
    """Send one picture by the form. Returns the job's id."""
    file = {"name": "chair.png", "mimeType": "image/png", "buffer": picture("png", (64, 64), seed=31)}
    await block.locator("[data-property-name=files] input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    job: str = json.loads(await executed(block, 202))["job_id"]
    return job


@in_browser
async def test_every_operation_is_shown_and_nothing_else_is_asked_for(
    open_page: Page, without_keys: str
) -> None:
    document = await (await open_page.context.request.get("/api/v1/openapi.json")).json()
    everything = {**document["paths"], **document["webhooks"]}
    operations = {one["operationId"] for methods in everything.values() for one in methods.values()}
    blocks = await open_page.locator(".opblock").all()
    ids = [await block.get_attribute("id") or "" for block in blocks]
    assert len(ids) == len(operations)
    assert {one.rpartition("-")[2] for one in ids} == operations
    await expect(open_page.locator(".errors-wrapper, .version-pragma")).to_have_count(0)

    asked: list[str] = []
    open_page.context.on("request", lambda request: asked.append(request.url))
    await open_page.reload()
    await open_page.wait_for_selector("html[data-ready] .opblock")
    assert any(url.endswith("swagger-ui-bundle.js") for url in asked)
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(without_keys).netloc}


@in_browser
async def test_without_keys_a_call_is_tried_without_one(open_page: Page) -> None:
    await expect(open_page.locator("#key-form")).to_be_hidden()
    ready = json.loads(await executed(await opened(open_page, "ready"), 200))
    assert ready["status"] in {"ready", "degraded"}


@in_browser
async def test_upload_by_the_form_sends_no_field_that_was_left_empty(open_page: Page) -> None:
    await upload(await opened(open_page, "uploadBatch"))


@in_browser
async def test_picture_in_an_answer_is_shown(open_page: Page) -> None:
    job = await upload(await opened(open_page, "uploadBatch"))
    document = await (await open_page.context.request.get(f"/api/v1/status/{job}")).json()
    block = await opened(open_page, "getThumbnail")
    await block.locator("[data-param-name=job_id] input").fill(job)
    await block.locator("[data-param-name=image_id] input").fill(document["images"][0]["image_id"])
    await executed(block, 200)
    shown_picture = block.locator(".live-responses-table img")
    await expect(shown_picture).to_have_attribute("src", re.compile("^blob:"))
    assert await shown_picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


@in_browser
async def test_streams_that_do_not_end_are_not_tried(open_page: Page) -> None:
    for operation, tried in (("streamJobs", 0), ("streamJob", 0), ("listJobs", 1)):
        block = open_page.locator(f".opblock[id$='-{operation}']")
        await block.locator(".opblock-summary-control").click()
        await expect(block.locator(".opblock-section-header")).not_to_have_count(0)
        await expect(block.locator(".try-out__btn")).to_have_count(tried)


@in_browser
@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_it_is_dark_or_light_as_the_system_is(open_page: Page, scheme: str) -> None:
    await open_page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    root = open_page.locator("html")
    if scheme == "dark":
        await expect(root).to_have_class("dark-mode")
    else:
        await expect(root).not_to_have_class("dark-mode")
    await picture_of(open_page, f"reference-{scheme}")


@in_browser
async def test_with_keys_the_page_asks_for_one_and_calls_with_it(
    context: BrowserContext, service: Service
) -> None:
    page = await context.new_page()
    await page.goto(DOCS)
    await expect(page.get_by_label("API key")).to_be_focused()
    await page.get_by_label("API key").fill("i2m_not-a-key")
    await page.get_by_role("button", name="Show the reference").click()
    await expect(page.locator("#message")).to_contain_text("is unknown")
    await expect(page.locator(".opblock")).to_have_count(0)

    await page.get_by_label("API key").fill(service.new_key())
    await page.get_by_role("button", name="Show the reference").click()
    await page.wait_for_selector("html[data-ready] .opblock")
    await expect(page.locator("#key-form")).to_be_hidden()
    await upload(await opened(page, "uploadBatch"))
    listed = json.loads(await executed(await opened(page, "listJobs"), 200))
    assert len(listed["jobs"]) == 1
    assert await page.evaluate("Object.keys(localStorage).concat(document.cookie)") == [""]


@in_browser
async def test_who_is_signed_in_on_the_page_needs_no_other_key(
    context: BrowserContext, service: Service
) -> None:
    await sign_in(context, service.new_key())
    page = await shown(context)
    await upload(await opened(page, "uploadBatch"))


@in_browser
async def test_key_can_be_entered_in_the_viewer_too(context: BrowserContext, service: Service) -> None:
    await sign_in(context, service.new_key())
    page = await shown(context)
    await page.locator(".auth-wrapper .authorize").click()
    schemes = page.locator(".modal-ux .auth-container")
    await expect(schemes).to_have_count(2)  # a key, the metrics token; a cookie cannot be entered
    await schemes.first.locator("input").fill(service.new_key("admin"))
    await schemes.first.get_by_role("button", name="Apply credentials").click()
    await page.locator(".modal-ux .btn-done").first.click()
    await executed(await opened(page, "listKeys"), 200)


async def test_without_its_viewer_the_page_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "static").symlink_to(Path(files.__file__).parent / "static")
    monkeypatch.setattr(files, "_FOLDER", tmp_path)
    answer = await answer_of_the_page()
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == POLICY
    assert "Node.js" in answer.text
    assert "make setup" in answer.text
    assert '<a href="/api/v1/openapi.json">' in answer.text
    assert "<script" not in answer.text


async def test_the_policy_names_no_other_host_whatever_the_settings() -> None:
    answer = await answer_of_the_page("https://models.example")
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "swagger-ui-bundle.js" in answer.text


def test_what_comes_from_npm_is_pinned_by_hash_and_runs_nothing() -> None:
    folder = Path(files.__file__).parent
    direct = json.loads((folder / "package.json").read_text())["dependencies"]
    locked = json.loads((folder / "package-lock.json").read_text())["packages"]
    for name, version in direct.items():
        assert locked[f"node_modules/{name}"]["version"] == version
    assert all(one["integrity"].startswith("sha512-") for name, one in locked.items() if name)
    makefile = (folder.parents[2] / "Makefile").read_text()
    assert "cd $(PAGE) && npm ci --silent --no-audit --no-fund --ignore-scripts" in makefile


async def answer_of_the_page(*media_origins: str) -> httpx.Response:
    transport = httpx.ASGITransport(Starlette(routes=web.routes(media_origins, max_file_bytes=30 << 20)))
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
        return await client.get(DOCS)
