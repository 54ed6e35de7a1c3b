"""The page's list of models: searched, and new when FAL's list is, without a reload."""

import asyncio
from urllib.request import Request, urlopen

import pytest
from playwright.async_api import Page, expect

from tests.web.conftest import ADMIN_KEY, Service, drop, settled

pytestmark = pytest.mark.asyncio(loop_scope="session")
NEW = "fal-ai/brand-new/image-to-3d"


def _send(method: str, url: str, body: bytes | None = None, key: str = "") -> bytes:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    with urlopen(Request(url, body, headers, method=method), timeout=20) as answer:  # noqa: S310 - loopback
        return bytes(answer.read())


@pytest.mark.long
async def test_new_model_is_on_the_page_without_a_reload_and_makes_models(
    page: Page, service: Service
) -> None:
    at = f"{service.emulator}/_emulator/endpoints"
    row = _send("GET", f"{at}/fal-ai/triposr").replace(b'"fal-ai/triposr"', f'"{NEW}"'.encode())
    option = page.locator(f"#model option[value='{NEW}']")
    await expect(option).to_have_count(0)
    try:
        _send("PUT", f"{at}/{NEW}", row)
        _send("POST", f"{service.url}/api/v1/admin/models/refresh", b"", ADMIN_KEY)
        async with asyncio.timeout(30):
            while not await option.count():
                await page.evaluate("window.dispatchEvent(new Event('focus'))")
                await asyncio.sleep(0.2)
        await page.fill("#model-filter", "brand")
        await expect(page.locator("#model option")).to_have_count(2)  # and the one that is chosen
        await page.select_option("#model", NEW)
        await expect(page.locator("#price")).to_contain_text("$0.07")
        await page.click("#params-box summary")
        await page.get_by_label("Mc resolution").fill("128")
        await drop(page, ["vase.png"], seed=900)
        await page.click("#send")
        await settled(page, "succeeded", 1)
    finally:
        _send("DELETE", f"{at}/{NEW}")


async def test_model_that_one_picture_cannot_run_is_shown_and_not_to_be_chosen(page: Page) -> None:
    needing = page.locator("#model option", has_text="needs a 3D model").first
    await expect(needing).to_have_attribute("disabled", "")
