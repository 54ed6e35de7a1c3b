"""Pictures as phones make them, from a phone's screen: formats that browsers cannot read, and large ones."""

import io

import pytest
from PIL import Image
from playwright.async_api import Browser, FilePayload, Page, expect

from tests.support.pictures import picture
from tests.web.conftest import Service, open_page, picture_of, settled, sign_in, until, watched_context

pytestmark = pytest.mark.asyncio(loop_scope="session")
_MEGAPIXELS_48 = (8064, 6048)


def photograph(size: tuple[int, int]) -> bytes:
    """A JPEG with as much detail as a phone's, a gradient under noise: about half a byte a pixel."""
    shades = Image.linear_gradient("L").resize(size)
    noise = Image.effect_noise(size, 24)
    file = io.BytesIO()
    Image.merge("RGB", (Image.blend(shades, noise, 0.5), noise, shades)).save(file, "JPEG", quality=90)
    return file.getvalue()


async def from_gallery(page: Page, files: list[FilePayload]) -> None:
    """Choose pictures as a phone's file dialog gives them, and send them."""
    await page.set_input_files("#files", files)
    await expect(page.locator("#staged > li")).to_have_count(len(files))
    await page.locator("#send").tap()


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_heic_avif_and_48_megapixels(browser: Browser, service: Service) -> None:
    async with watched_context(browser, service.url, phone=True) as context:
        await sign_in(context, service.new_key())
        page = await open_page(context)
        sent: list[FilePayload] = [
            {"name": "IMG_0001.HEIC", "mimeType": "", "buffer": picture("heic", (1008, 756), seed=1)},
            {"name": "PXL_1.avif", "mimeType": "image/avif", "buffer": picture("avif", (1008, 756), seed=2)},
            {"name": "IMG_0002.jpg", "mimeType": "image/jpeg", "buffer": photograph(_MEGAPIXELS_48)},
        ]
        assert len(sent[2]["buffer"]) > 10 << 20
        await from_gallery(page, sent)
        await settled(page, "succeeded", 3)
        for name in ("IMG_0001", "PXL_1", "IMG_0002"):
            shown = page.locator(".card", has_text=name).locator("img").first
            await expect(shown).to_be_visible()
            await until(page, f"[...document.querySelectorAll('.card')].every({_HAS_PICTURE})")
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        await picture_of(page, "phone-formats")


_HAS_PICTURE = "card => [...card.querySelectorAll('img')].some(img => img.complete && img.naturalWidth > 0)"
