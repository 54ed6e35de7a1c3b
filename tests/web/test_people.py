"""Everybody can use it: by keyboard, by ear, on a phone, in the dark; and it is there at once."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from tests.support.npm import FOLDER
from tests.web.conftest import Service, drop, generate, picture_of, settled, sign_in, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
_AXE = Path(FOLDER) / "node_modules/axe-core/axe.min.js"


async def _violations(page: Page) -> list[str]:
    """What axe finds, with the elements."""
    await page.evaluate(_AXE.read_text())
    found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(page: Page, service: Service, scheme: str) -> None:
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    await page.reload()
    await page.wait_for_selector("html[data-ready]")
    assert await _violations(page) == []
    service.fault("422", 1)
    await generate(page, ["seen.png", "heard.png"], seed=800)
    await settled(page, "failed", 1)
    await settled(page, "succeeded", 1)
    await page.click("#params-box summary")
    assert await _violations(page) == []
    await page.locator(".card[data-status=failed] .card-open").click()
    await page.wait_for_selector("dialog.viewer[open]")
    assert await _violations(page) == []
    await picture_of(page, f"dialog-{scheme}")


@pytest.mark.long
async def test_the_keyboard_reaches_and_opens_every_card(page: Page) -> None:
    await generate(page, [f"key-{number}.png" for number in range(7)], seed=820)
    await settled(page, "succeeded", 7)
    openers = page.locator(".card-open")
    await openers.first.focus()
    await page.keyboard.press("ArrowRight")
    await expect(openers.nth(1)).to_be_focused()
    await page.keyboard.press("ArrowDown")
    columns = await page.evaluate(
        "getComputedStyle(document.querySelector('.cards')).gridTemplateColumns.split(' ').length"
    )
    await expect(openers.nth(min(6, 1 + columns))).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("dialog.viewer")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(openers.nth(min(6, 1 + columns))).to_be_focused()
    assert await page.locator(".card-open[tabindex='0']").count() == 1
    await expect(page.locator("#announcer")).to_contain_text("done")


@pytest.mark.long
async def test_a_picture_that_is_done_before_its_upload_is_answered_is_announced(page: Page) -> None:
    """And before the page has drawn anything since it was sent, as on a busy machine."""
    heard = asyncio.Event()

    async def answer_late(route: Route) -> None:
        answer = await route.fetch()
        await heard.wait()
        await route.fulfill(response=answer)

    await page.route("**/upload/batch", answer_late)
    await drop(page, ["early.png"], seed=840)
    await page.evaluate(
        """async () => {
        const main = document.querySelector("script[type=module]").src;
        window.jobs = await import(new URL("jobs.js", main));
        window.frames = [];
        window.draw = window.requestAnimationFrame.bind(window);
        window.requestAnimationFrame = (frame) => window.frames.push(frame);
        }"""
    )
    await page.click("#send")
    await until(page, "jobs.all().some(({ status }) => status === 'succeeded')")
    heard.set()
    await until(page, "jobs.all().every(({ job_id, upload }) => job_id && !upload)")
    await page.evaluate("window.requestAnimationFrame = draw; frames.forEach(draw)")
    await expect(page.locator("#announcer")).to_have_text("1 model done.")


@pytest.mark.long
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1440, 900)])
async def test_it_fits_the_screen(page: Page, width: int, height: int) -> None:
    await page.set_viewport_size({"width": width, "height": height})
    await generate(page, ["a-rather-long-name-of-a-picture-from-a-phone.png", "b.png"], seed=830)
    await settled(page, "succeeded", 2)
    await _no_overflow(page)
    await picture_of(page, f"page-{width}")
    await page.locator(".card-open").first.click()
    await page.wait_for_selector("dialog.viewer[open]")
    await _no_overflow(page)
    await picture_of(page, f"viewer-{width}")


async def _no_overflow(page: Page) -> None:
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    side = "document.querySelector('dialog[open] .viewer-side')"
    assert await page.evaluate(f"{side} ? {side}.scrollWidth - {side}.clientWidth : 0") <= 0


@pytest.mark.long
async def test_the_theme_that_was_chosen_stays(page: Page) -> None:
    await page.click("#theme")
    await page.click("#theme")
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    await page.reload()
    assert await page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


@pytest.mark.long
async def test_it_is_there_at_once_and_stays_small(context: BrowserContext, service: Service) -> None:
    """In shares of what an empty answer of the same server takes, for machines differ."""
    await sign_in(context, service.new_key())
    page = await context.new_page()
    await page.goto("/api/v1/health/live")
    empty = await _first_paint(page)
    await page.goto("/")
    await page.wait_for_selector("html[data-ready]")
    painted = await _first_paint(page)
    ready = await page.evaluate("performance.getEntriesByName('ready')[0].startTime")
    sizes = await page.evaluate("performance.getEntriesByType('resource').map(one => one.transferSize)")
    assert sum(sizes) < 120_000
    assert painted < max(500, 8 * empty)
    assert ready < max(1000, 16 * empty)


async def _first_paint(page: Page) -> float:
    """Milliseconds from the start of the navigation."""
    await until(page, "performance.getEntriesByName('first-contentful-paint').length")
    found: float = await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    return found


@pytest.mark.long
async def test_two_hundred_cards_scroll_as_ten_do(page: Page) -> None:
    """In shares of what a few cards cost, for machines differ."""
    await generate(page, [f"few-{number}.png" for number in range(10)], seed=2000)
    await settled(page, "succeeded", 10)
    await page.set_viewport_size({"width": 700, "height": 500})
    few = await _frame_of_scrolling(page)
    await page.set_viewport_size({"width": 1440, "height": 900})
    await generate(page, [f"many-{number}.png" for number in range(190)], seed=2000, different=25)
    await settled(page, "succeeded", 200)
    assert await page.locator("model-viewer").count() <= 9
    await page.set_viewport_size({"width": 700, "height": 500})
    many = await _frame_of_scrolling(page)
    assert many < max(50, 5 * few)


async def _frame_of_scrolling(page: Page) -> float:
    """Milliseconds of the middle one among twenty frames in which the page is scrolled."""
    spans: list[float] = await page.evaluate(
        """async () => { scrollTo(0, 0); const spans = []; let before = performance.now();
        for (let step = 0; step < 20; step += 1) {
          scrollBy(0, step % 2 ? 150 : -100); await new Promise(requestAnimationFrame);
          const now = performance.now(); spans.push(now - before); before = now;
        } return spans; }"""
    )
    return sorted(spans)[10]
