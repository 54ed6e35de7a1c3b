"""What a person does to batches that are there."""

import io
import json
import zipfile

import pytest
from playwright.async_api import FilePayload, Page, expect

from tests.support.pictures import picture as sketch
from tests.web.conftest import Service, drop, generate, picture_of, settled

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.long
async def test_a_failed_picture_says_why_and_runs_again(page: Page, service: Service) -> None:
    service.fault("422", 1)
    await generate(page, ["odd.png", "even.png"], seed=600)
    await settled(page, "failed", 1)
    await settled(page, "succeeded", 1)
    failed = page.locator(".card[data-status=failed]")
    assert len(await failed.locator(".card-state").inner_text()) > 20
    await picture_of(page, "failed")
    await failed.get_by_role("button", name="Try again").click()
    await settled(page, "succeeded", 2)


@pytest.mark.long
async def test_retry_failed_runs_all_failures_of_a_batch(page: Page, service: Service) -> None:
    service.fault("422", 2)
    await generate(page, ["one.png", "two.png"], seed=610)
    await settled(page, "failed", 2)
    await page.get_by_role("button", name="Retry failed").click()
    await settled(page, "succeeded", 2)
    await expect(page.get_by_role("button", name="Retry failed")).to_be_hidden()


@pytest.mark.long
async def test_cancel_stops_a_batch(page: Page, service: Service) -> None:
    service.runners(0)
    await generate(page, ["slow-1.png", "slow-2.png"], seed=620)
    await settled(page, "submitted", 2)
    places = page.locator(".card-badge:visible")
    await expect(places).to_have_count(2)
    assert sorted(await places.all_inner_texts()) == ["Next", "Place 1"]
    await page.get_by_role("button", name="Cancel", exact=True).click()
    await settled(page, "cancelled", 2)
    await expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_hidden()


@pytest.mark.long
async def test_the_zip_holds_all_models(page: Page) -> None:
    await generate(page, ["left.png", "right.png"], seed=630)
    await settled(page, "succeeded", 2)
    async with page.expect_download() as found:
        await page.get_by_role("link", name="Download all models as ZIP").click()
    path = await (await found.value).path()
    names = set(zipfile.ZipFile(io.BytesIO(path.read_bytes())).namelist())
    assert {"left.glb", "right.glb", "manifest.json"} <= {name.rpartition("/")[2] for name in names}


@pytest.mark.long
async def test_a_deleted_batch_can_be_taken_back_and_is_gone_for_good_otherwise(page: Page) -> None:
    await generate(page, ["here.png"], seed=640)
    await settled(page, "succeeded", 1)
    await page.get_by_role("button", name="Delete batch").click()
    await expect(page.locator(".batch:visible")).to_have_count(0)
    await page.get_by_role("button", name="Undo").click()
    await expect(page.locator(".batch:visible")).to_have_count(1)
    await page.reload()
    await settled(page, "succeeded", 1)
    await page.get_by_role("button", name="Delete batch").click()
    await page.reload()  # nobody waits for the time to take it back: leaving the page deletes
    await expect(page.locator("#empty")).to_be_visible()
    await expect(page.locator(".batch")).to_have_count(0)


@pytest.mark.long
async def test_filters_show_only_what_is_asked_for(page: Page, service: Service) -> None:
    service.fault("422", 1)
    await generate(page, ["apple.png", "pear.png"], seed=650)
    await settled(page, "failed", 1)
    await settled(page, "succeeded", 1)
    await page.get_by_role("button", name="Failed 1", exact=False).click()
    await expect(page.locator(".card:visible")).to_have_count(1)
    await expect(page.locator(".card[data-status=failed]")).to_be_visible()
    await page.get_by_role("button", name="All").first.click()
    await page.get_by_label("Find by name").fill("pear")
    await expect(page.locator(".card:visible .card-name")).to_have_text("pear.png")
    await page.get_by_label("Find by name").fill("nothing has this name")
    await expect(page.locator("#empty-title")).to_have_text("Nothing matches")


async def _upload(page: Page, name: str, metadata: dict[str, object], image: dict[str, object]) -> None:
    manifest = {"files": [{"part": 0, "metadata": image}]}
    parts: dict[str, str | float | bool | bytes | FilePayload] = {
        "files": {"name": name, "mimeType": "image/png", "buffer": sketch("png", (96, 96), seed=1720)},
        "metadata": json.dumps(metadata),
        "manifest": json.dumps(manifest),
    }
    headers = {"Origin": await page.evaluate("location.origin")}
    answer = await page.request.post("/api/v1/upload/batch", multipart=parts, headers=headers)
    assert answer.status == 202, await answer.text()


@pytest.mark.long
async def test_metadata_is_shown_found_and_kept_by_another_try(page: Page) -> None:
    await _upload(page, "chair.png", {"order": 1001, "__proto__": "<i>text</i>"}, {"sku": "A-1"})
    await _upload(page, "lamp.png", {"order": 1002}, {"sku": "B-2"})
    await settled(page, "succeeded", 2)
    box = page.get_by_label("Find by metadata")
    await box.fill("sku=A-1&order=1001")
    await expect(page.locator(".card:visible .card-name")).to_have_text("chair.png")
    await box.fill("a b=1")
    await expect(page.locator("#empty-title")).to_have_text("Nothing matches")
    await box.fill("order=1001")
    await page.locator(".card-open:visible").click()
    own = page.locator(".viewer-part.own")
    for text in ("sku", "A-1", "order", "1001", "__proto__"):
        await expect(own).to_contain_text(text)
    await picture_of(page, "metadata")
    await page.get_by_role("button", name="Generate with other parameters").click()
    await page.locator(".again").get_by_label("Texture", exact=True).select_option(label="no")
    await page.locator(".again").get_by_role("button", name="Generate").click()
    await settled(page, "succeeded", 3)
    await box.fill("sku=A-1&order=1001")
    await expect(page.locator(".card:visible .card-name")).to_have_text(["chair.png", "chair.png"])
    await expect(page.locator(".toast")).to_have_count(0)


@pytest.mark.long
async def test_metadata_finds_a_batch_that_is_further_back_than_the_page(page: Page) -> None:
    await _upload(page, "deep.png", {}, {"sku": "deep"})
    for _ in range(51):
        await _upload(page, "other.png", {}, {"sku": "other"})
    await page.reload()
    await expect(page.locator(".batch")).to_have_count(50)
    await page.get_by_label("Find by metadata").fill("sku=deep")
    await expect(page.locator(".card:visible .card-name")).to_have_text("deep.png")


@pytest.mark.long
async def test_another_try_with_other_parameters_becomes_a_batch_of_its_own(page: Page) -> None:
    await generate(page, ["again.png"], seed=710)
    await settled(page, "succeeded", 1)
    await page.locator(".card-open").click()
    await page.get_by_role("button", name="Generate with other parameters").click()
    await page.locator(".again").get_by_label("Texture", exact=True).select_option(label="no")
    await page.locator(".again").get_by_role("button", name="Generate").click()
    await settled(page, "succeeded", 2)
    await expect(page.locator(".batch-facts").first).to_contain_text("$0.20")


@pytest.mark.long
async def test_what_is_missing_beside_a_model_is_told_and_fetched_again(page: Page, service: Service) -> None:
    service.fault("preview_missing", 1)
    await generate(page, ["lacking.png"], seed=1600)
    await settled(page, "succeeded", 1)
    await expect(page.locator(".card-state")).to_contain_text("· 1 warning")
    await page.locator(".card-open").click()
    warnings = page.locator(".warnings")
    await expect(warnings).to_contain_text("rendered_image was not fetched")
    await picture_of(page, "warnings")
    async with page.expect_response("**/files/refresh") as found:
        await warnings.get_by_role("button", name="Fetch missing files").click()
    assert (await found.value).status == 202
    await expect(page.locator(".toast")).to_contain_text("FAL is asked for the missing files")
    await picture_of(page, "asked-for-missing-files")
    await page.locator(".toast").get_by_role("button", name="Close").click()  # the viewer does not cover it
    await expect(page.locator(".toast")).to_have_count(0)
    await page.keyboard.press("Escape")
    await settled(page, "succeeded", 1)


@pytest.mark.long
async def test_uploads_are_off_while_the_store_takes_no_writes(page: Page, service: Service) -> None:
    await generate(page, ["before.png"], seed=1700)
    await settled(page, "succeeded", 1)
    with service.store() as store:
        store.config_set("maxmemory", "1")
        try:
            await drop(page, ["after.png"], seed=1701)
            await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            notice = page.locator("#notice")
            await expect(notice).to_contain_text("out of memory")
            await expect(notice).to_contain_text("can be seen and downloaded")
            await expect(page.locator("#send")).to_be_disabled()
            await expect(page.locator("#send")).to_have_text("Uploads are off for now")
            await picture_of(page, "uploads-off")
            async with page.expect_download() as found:
                await page.locator(".card-open").click()
                await page.get_by_role("link", name="Model · GLB").click()
            assert (await (await found.value).path()).read_bytes()[:4] == b"glTF"
            await page.keyboard.press("Escape")
        finally:
            store.config_set("maxmemory", "0")
    await expect(page.locator("#send")).to_be_enabled()
    await page.click("#send")
    await settled(page, "succeeded", 2)
