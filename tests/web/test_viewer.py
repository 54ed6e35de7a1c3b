"""The model itself, seen."""

import io

import pytest
from PIL import Image, ImageChops
from playwright.async_api import Page, expect

from tests.web.conftest import generate, picture_of, settled

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.draws]


@pytest.mark.long
async def test_the_viewer_is_loaded_with_the_first_model_and_shows_it(page: Page) -> None:
    await page.emulate_media(reduced_motion="reduce")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.reload()
    await page.wait_for_selector("html[data-ready]")
    assert not any("model-viewer" in url for url in asked)
    await generate(page, ["turning.png"], seed=700)
    await settled(page, "succeeded", 1)
    await page.wait_for_selector(".card model-viewer.shown")
    assert any("model-viewer" in url for url in asked)

    await page.locator(".card-open").click()
    await page.wait_for_selector(".stage[data-shown]")
    shown = await _stage(page)
    await picture_of(page, "viewer")
    await page.get_by_label("Wireframe").click()
    wired = await _stage(page)
    await picture_of(page, "wireframe")
    await page.evaluate("document.querySelector('.stage model-viewer').style.visibility = 'hidden'")
    empty = await _stage(page)
    assert _differing(shown, empty) > 0.03
    assert _differing(wired, empty) > 0.01
    assert _differing(wired, shown) > 0.01

    facts = page.locator(".facts")
    for name in ("Triangles", "Vertices", "Textures", "Size", "Cost", "Time"):
        await expect(facts).to_contain_text(name)
    async with page.expect_download() as found:
        await page.get_by_role("link", name="Model · GLB").click()
    assert (await (await found.value).path()).read_bytes()[:4] == b"glTF"
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog.viewer")).to_be_hidden()
    await expect(page.locator(".card-open")).to_be_focused()


async def _stage(page: Page) -> Image.Image:
    await page.wait_for_timeout(400)  # a frame that is on its way; nothing tells of it
    box = await page.locator(".stage").bounding_box()
    assert box is not None
    clip = {
        "x": box["x"] + 60,
        "y": box["y"] + 60,
        "width": box["width"] - 120,
        "height": box["height"] - 160,
    }
    data = await page.screenshot(clip=clip)  # type: ignore[arg-type]
    return Image.open(io.BytesIO(data)).convert("RGB")


def _differing(one: Image.Image, other: Image.Image) -> float:
    """The share of pixels that differ visibly."""
    grey = ImageChops.difference(one, other).convert("L").point(lambda value: 255 if value > 12 else 0)
    return grey.histogram()[255] / (grey.width * grey.height)
