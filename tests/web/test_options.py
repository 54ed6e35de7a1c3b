"""What the page offers besides parameters: variants, comparisons, prepared pictures, second steps."""

import io
import json
import re
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import FilePayload, Locator, Page, Request, expect

from tests.support.pictures import picture
from tests.web.conftest import Service, drop, generate, live_models, picture_of, settled, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
MODELS = ("tripo3d/tripo/v2.5/image-to-3d", "fal-ai/trellis", "fal-ai/hunyuan3d/v2")
RETEXTURE = "fal-ai/meshy/v5/retexture"


@pytest_asyncio.fixture(loop_scope="session")
async def page(page: Page) -> Page:
    """The page with FAL's own list of models."""
    await live_models(page)
    return page


async def _get(page: Page, path: str) -> dict[str, Any]:
    document: dict[str, Any] = await (await page.request.get(f"/api/v1{path}")).json()
    return document


async def _box(node: Locator) -> tuple[float, float]:
    box = await node.bounding_box()
    assert box is not None
    return box["x"], box["y"]


async def _option(page: Page, label: str) -> None:
    if await page.locator("#options-box").get_attribute("open") is None:
        await page.click("#options-box summary")
    await page.get_by_label(label).check()


@pytest.mark.long
async def test_three_models_times_four_variants_of_two_pictures_stand_side_by_side(
    page: Page, service: Service
) -> None:
    before = service.submissions()
    uploads: list[Request] = []
    page.on("request", lambda request: uploads.append(request) if request.url.endswith("/batch") else None)
    await page.select_option("#model", MODELS[0])
    for model in MODELS[1:]:
        await page.select_option("#compare", model)
    await expect(page.locator("#compared li")).to_have_count(2)
    await drop(page, ["one.png", "two.png"], seed=5000)
    await page.click("#options-box summary")
    variants = page.get_by_label("Variants", exact=True)
    await variants.fill("11")
    await page.click("#send")
    await expect(variants).to_be_focused()
    await expect(variants).to_have_attribute("aria-invalid", "true")
    await variants.fill("4")
    await expect(page.locator("#price")).to_contain_text("2 pictures × 4 variants × $0.48")
    await expect(page.locator("#price strong")).to_have_text("$3.84")
    await expect(page.locator("#send")).to_have_text("Generate 24 models")
    await picture_of(page, "comparison-staged")
    await page.click("#send")
    await settled(page, "succeeded", 24)
    assert len(uploads) == 1
    assert service.submissions() - before == 24
    columns = page.locator(".comparison .batch")
    await expect(columns).to_have_count(3)
    await expect(page.locator(".comparison > h2")).to_have_text("Comparison of 3 models")
    boxes = [await _box(one) for one in await columns.all()]
    assert len({y for _, y in boxes}) == 1
    assert len({x for x, _ in boxes}) == 3
    for column in await columns.all():
        texts = await column.locator(".card-views").all_text_contents()  # some are not drawn yet
        assert texts == [f"Variant {number}" for number in (1, 2, 3, 4)] * 2
    tops = [
        [(await _box(card))[1] for card in await column.locator(".card").all()]
        for column in await columns.all()
    ]
    assert tops[0] == tops[1] == tops[2]  # a row is of one picture
    await picture_of(page, "comparison")
    order = await columns.locator("h2").all_inner_texts()
    await page.reload()
    await settled(page, "succeeded", 24)
    assert await columns.locator("h2").all_inner_texts() == order
    await page.locator(".card-open").first.click()
    await expect(page.locator(".facts")).to_contain_text("Seed")
    await page.keyboard.press("Escape")
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.locator(".comparison").scroll_into_view_if_needed()
    await picture_of(page, "comparison-phone")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await page.set_viewport_size({"width": 1440, "height": 900})
    for left in (2, 1, 0):
        await page.get_by_role("button", name="Delete batch").first.click()
        await expect(page.locator(".comparison .batch:visible")).to_have_count(left)
    await expect(page.locator(".comparison")).to_be_hidden()


@pytest.mark.long
async def test_parameters_of_a_comparison_are_the_first_models(page: Page) -> None:
    await page.select_option("#model", MODELS[0])
    await page.select_option("#compare", MODELS[1])
    await page.select_option("#compare", MODELS[2])
    await page.get_by_role("button", name="Compare without Trellis").click()
    await page.click("#params-box summary")
    await page.get_by_label("Texture", exact=True).select_option(label="HD")
    await drop(page, ["vase.png"], seed=5100)
    await expect(page.locator("#price strong")).to_have_text("$0.56")
    await page.click("#send")
    await settled(page, "succeeded", 2)
    jobs = (await _get(page, "/jobs"))["jobs"]
    assert {one["model"]: one["params"].get("texture") for one in jobs} == {MODELS[0]: "HD", MODELS[2]: None}
    assert len({one["comparison_id"] for one in jobs}) == 1


@pytest.mark.long
async def test_prepared_pictures_are_shown_and_wait_for_a_word(page: Page, service: Service) -> None:
    before = service.submissions()
    await drop(page, ["good.png", "bad.png"], seed=5200)
    confirm = page.get_by_label("Show me prepared pictures first")
    await expect(confirm).to_be_disabled()
    await _option(page, "Remove the background")
    await _option(page, "Crop to the object")
    await _option(page, "Pad to a square")
    await _option(page, "Show me prepared pictures first")
    await expect(page.locator("#price")).to_contain_text("+ 2 backgrounds × $")
    await page.locator("#confirm-prepared").scroll_into_view_if_needed()
    await picture_of(page, "options")
    await page.click("#send")
    waiting = page.locator(".card-ask:visible")
    await expect(waiting).to_have_count(2)
    assert service.submissions() - before == 2
    await expect(page.locator(".card-state").first).to_contain_text("look at the prepared picture")
    await until(page, "[...document.querySelectorAll('.card-picture')].every((one) => one.naturalWidth > 0)")
    await picture_of(page, "prepared-waiting")
    await page.get_by_role("button", name="Use the prepared picture of good.png").click()
    await settled(page, "succeeded", 1)
    await page.locator(".card[data-status=queued] .card-open").click()
    await expect(page.locator(".viewer .prepared")).to_have_count(1)
    await until(page, "document.querySelector('.viewer .prepared img').naturalWidth > 0")
    await page.locator(".viewer .card-ask").scroll_into_view_if_needed()
    await picture_of(page, "prepared-viewer")
    await page.locator(".viewer").get_by_role("button", name="Leave out bad.png").click()
    await settled(page, "cancelled", 1)
    await expect(page.locator(".viewer .card-ask")).to_have_count(0)
    await expect(page.locator(".facts")).to_contain_text("background removed, cropped, padded to a square")
    assert service.submissions() - before == 3  # two cut-outs, one model


@pytest.mark.long
async def test_all_prepared_pictures_are_used_at_once(page: Page, service: Service) -> None:
    before = service.submissions()
    await drop(page, ["a.png", "b.png", "c.png"], seed=5300)
    await _option(page, "Pad to a square")
    await _option(page, "Show me prepared pictures first")
    await page.click("#send")
    await expect(page.locator(".card-ask:visible")).to_have_count(3)
    assert service.submissions() == before
    await expect(page.locator("#announcer")).to_contain_text(re.compile("prepared pictures? waits? for you"))
    await page.get_by_role("button", name="Use all prepared").click()
    await settled(page, "succeeded", 3)
    await expect(page.get_by_role("button", name="Use all prepared")).to_be_hidden()
    assert service.submissions() - before == 3


@pytest.mark.long
async def test_a_finished_model_takes_a_next_step(page: Page, service: Service) -> None:
    before = service.submissions()
    await generate(page, ["teapot.png"], seed=5400)
    await settled(page, "succeeded", 1)
    await page.locator(".card-open").click()
    await page.get_by_role("button", name="Next step").click()
    step = page.get_by_role("form", name="Next step")
    await step.get_by_label("What to do").select_option(RETEXTURE)
    await step.get_by_label("Text style prompt").fill("oak")
    await step.scroll_into_view_if_needed()
    await picture_of(page, "next-step")
    async with page.expect_request("**/derive") as asked:
        await step.get_by_role("button", name="Run").click()
    sent = await asked.value
    assert json.loads(sent.post_data or "") == {"model": RETEXTURE, "params": {"text_style_prompt": "oak"}}
    assert len(await sent.header_value("idempotency-key") or "") == 32
    await settled(page, "succeeded", 2)
    assert service.submissions() - before == 2
    await page.locator(".card-open").first.click()
    await expect(page.locator(".facts")).to_contain_text("Made froma model of")
    await picture_of(page, "next-step-done")


@pytest.mark.long
async def test_variants_without_a_seed_are_told_before_the_money(page: Page) -> None:
    models = (await _get(page, "/models"))["models"]
    without = next(
        one["id"]
        for one in models
        if one["available"]
        and one["price_usd"]
        and [image["role"] for image in one["inputs"]] == ["picture"]
        and not any("seed" in name for name in one["params"]["properties"])
    )
    await page.select_option("#model", without)
    await drop(page, ["chance.png"], seed=5500)
    await page.click("#options-box summary")
    await page.get_by_label("Variants", exact=True).fill("2")
    await expect(page.locator(".price-warning")).to_contain_text("This model has no seed.")
    await expect(page.locator("#send")).to_have_text("Generate 2 models")
    await page.get_by_label("Variants", exact=True).fill("1")
    await expect(page.locator(".price-warning")).to_have_count(0)


@pytest.mark.long
async def test_a_picture_that_will_hardly_work_is_told_and_can_be_sent(page: Page) -> None:
    grey = io.BytesIO()
    Image.new("RGB", (1600, 1200), (127, 127, 127)).save(grey, "PNG")
    good = picture("jpeg", (1600, 1200), seed=5600)
    await page.set_input_files(
        "#files",
        [
            FilePayload(name="grey.png", mimeType="image/png", buffer=grey.getvalue()),
            FilePayload(name="good.jpg", mimeType="image/jpeg", buffer=good),
        ],
    )
    told = page.locator("#staged-advice p")
    await expect(told).to_have_count(1)
    await expect(told).to_contain_text("grey.png")
    await expect(page.locator(".tile[title='grey.png'] .warning-mark")).to_be_visible()
    await expect(page.locator(".tile[title='good.jpg'] .warning-mark")).to_be_hidden()
    await picture_of(page, "advice")
    await page.get_by_label("Select grey.png").check()
    await page.get_by_label("Select good.jpg").check()
    await page.get_by_role("button", name="Group as one object").click()
    await expect(page.locator(".object .warning-mark:visible")).to_have_count(1)
    await page.get_by_role("button", name="Ungroup").click()
    await page.get_by_role("button", name="Remove grey.png").click()
    await expect(told).to_have_count(0)
    await expect(page.locator("#send")).to_be_enabled()
