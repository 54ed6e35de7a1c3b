"""Pictures in, models out, through everything that may happen on the way."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, FilePayload, Page, expect

from tests.web.conftest import Service, drop, generate, open_page, picture_of, settled, sign_in, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.long
async def test_thirty_dropped_pictures_become_two_batches_and_thirty_models(
    page: Page, service: Service
) -> None:
    before = service.submissions()
    names = [f"chair-{number}.png" for number in range(30)]
    await drop(page, names, seed=100)
    await expect(page.locator("#send")).to_have_text("Generate 30 models")
    await expect(page.locator("#price strong")).to_have_text("$9.00")
    await picture_of(page, "staged")
    await page.click("#send")
    await expect(page.locator(".card")).to_have_count(30)
    await picture_of(page, "running")
    await settled(page, "succeeded", 30)
    facts = page.locator(".batch-facts")
    await expect(facts).to_have_count(2)
    assert [text.split(" · ")[0] for text in await facts.all_inner_texts()] == [
        "25 of 25 done",
        "5 of 5 done",
    ]
    assert await page.locator(".card-name").all_inner_texts() == names
    assert service.submissions() - before == 30
    await picture_of(page, "done")


@pytest.mark.long
async def test_a_reload_in_the_middle_of_an_upload_sends_it_once(
    context: BrowserContext, service: Service
) -> None:
    await sign_in(context, service.new_key())
    before = service.submissions()
    first = await open_page(context)
    held: list[str] = []

    async def hold(_route: object) -> None:
        held.append("upload")  # never let through: the page is reloaded while it waits

    await first.route("**/upload/batch", hold)
    await generate(first, ["lamp-1.png", "lamp-2.png"], seed=200)
    await expect(first.locator(".card")).to_have_count(2)
    await until(first, "indexedDB.databases().then(all => all.length > 0)")
    async with asyncio.timeout(20):
        while not held:
            await asyncio.sleep(0.02)
    await first.unroute("**/upload/batch", hold)
    await first.reload()
    await settled(first, "succeeded", 2)
    assert await first.locator(".card-name").all_inner_texts() == ["lamp-1.png", "lamp-2.png"]
    assert service.submissions() - before == 2
    await first.reload()
    await settled(first, "succeeded", 2)
    assert service.submissions() - before == 2


@pytest.mark.long
async def test_the_page_catches_up_after_the_api_was_killed(page: Page, service: Service) -> None:
    service.latency(4)
    await generate(page, ["cup-1.png", "cup-2.png", "cup-3.png"], seed=300)
    await settled(page, "generating", 3)
    service.end_api()
    await expect(page.locator("#health")).to_have_attribute("data-state", "offline")
    await picture_of(page, "offline")
    await settled(page, "succeeded", 3)
    await expect(page.locator("#health")).not_to_have_attribute("data-state", "offline")


@pytest.mark.long
@pytest.mark.usefixtures("service")
async def test_a_batch_from_elsewhere_appears_by_itself(context: BrowserContext, page: Page) -> None:
    other = await open_page(context)
    await generate(page, ["bowl.png"], seed=400)
    await expect(other.locator(".card-name")).to_have_text("bowl.png")
    await settled(other, "succeeded", 1)


@pytest.mark.long
async def test_a_bad_file_is_named_and_the_good_ones_run(page: Page) -> None:
    await page.set_input_files(
        "#files",
        [
            FilePayload(name="broken.png", mimeType="image/png", buffer=b"no picture at all"),
            FilePayload(name="good.webp", mimeType="image/webp", buffer=_webp()),
            FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"hello"),
        ],
    )
    await expect(page.locator(".toast")).to_contain_text("1 file left out")
    await page.click("#send")
    await settled(page, "succeeded", 1)
    await expect(page.locator(".batch-rejected")).to_contain_text("broken.png")


async def test_files_that_are_left_out_are_named_and_many_are_counted(page: Page) -> None:
    notes = [FilePayload(name=f"note-{n}.txt", mimeType="text/plain", buffer=b"hello") for n in range(5)]
    await page.set_input_files(
        "#files", [*notes, FilePayload(name="zero.png", mimeType="image/png", buffer=b"")]
    )
    await expect(page.locator(".toast").first).to_contain_text(
        "note-0.txt, note-1.txt, note-2.txt and 2 more"
    )
    await expect(page.locator(".toast").last).to_contain_text("zero.png: empty, left out.")
    await expect(page.locator("#staged li")).to_have_count(0)


async def test_a_message_goes_by_itself_but_not_under_the_pointer(page: Page) -> None:
    note = FilePayload(name="note.txt", mimeType="text/plain", buffer=b"hello")
    await page.set_input_files("#files", [note])
    message = page.locator(".toast")
    await message.hover()
    await page.evaluate(
        """() => { const toasts = document.getElementById('toasts');
        toasts.dataset.lifeMs = '1';
        window.gone = 0;
        new MutationObserver((changes) => {
          for (const change of changes) window.gone += change.removedNodes.length;
        }).observe(toasts, { childList: true }); }"""
    )
    await page.set_input_files("#files", [note])
    await until(page, "window.gone === 1")  # the second one
    await expect(message).to_have_count(1)
    await page.mouse.move(0, 0)
    await expect(message).to_have_count(0)


@pytest.mark.long
async def test_a_chosen_folder_is_in_the_order_of_its_names(page: Page, tmp_path: Path) -> None:
    for number in (10, 9, 2, 1, 30, 4):  # made in an order that no disk would sort
        (tmp_path / f"part-{number}.webp").write_bytes(_webp())
    await page.set_input_files("#folder", tmp_path)
    staged = page.locator("#staged li")
    await expect(staged).to_have_count(6)
    titles = [await one.get_attribute("title") for one in await staged.all()]
    assert titles == [f"part-{number}.webp" for number in (1, 2, 4, 9, 10, 30)]


@pytest.mark.long
async def test_parameters_change_the_price_and_are_sent(page: Page) -> None:
    await drop(page, ["vase.png"], seed=500)
    await page.click("#params-box summary")
    await page.get_by_label("Texture", exact=True).select_option(label="HD")
    await expect(page.locator("#price strong")).to_have_text("$0.40")
    await page.get_by_label("Face limit").fill("0")
    await page.click("#send")
    await expect(page.get_by_label("Face limit")).to_have_attribute("aria-invalid", "true")
    await expect(page.locator(".card")).to_have_count(0)
    await page.get_by_label("Face limit").fill("9000")
    await page.click("#send")
    await settled(page, "succeeded", 1)
    await expect(page.locator(".batch-facts")).to_contain_text("$0.40")


def _webp() -> bytes:
    from tests.support.pictures import picture

    return picture("webp", (80, 80), seed=77)
