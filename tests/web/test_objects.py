"""Objects of several views: pictures are grouped on the page and become one model each."""

from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from tests.support.pictures import picture
from tests.web.conftest import Service, drop, drop_onto, live_models, picture_of, settled, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
LIST = "fal-ai/hyper3d/rodin"
LONG_LIST = "fal-ai/meshy/v6-preview/multi-image-to-3d"
SIDES = "tripo3d/tripo/v2.5/multiview-to-3d"
TWO_OR_MORE = "tripo3d/h3.1/multiview-to-3d"
ONE = "fal-ai/trellis"
NAMES = ("front", "back", "left", "right")


@pytest_asyncio.fixture(loop_scope="session")
async def page(page: Page) -> Page:
    """The page with FAL's own list of models."""
    await live_models(page)
    return page


def _views(name: str) -> list[str]:
    return [f"{name}_{side}.png" for side in NAMES]


def _object(page: Page, name: str) -> Locator:
    return page.locator(".object").filter(has=page.get_by_label(f"Select the object {name}", exact=True))


async def _job(page: Page) -> dict[str, Any]:
    """The newest job's document."""
    jobs = (await (await page.request.get("/api/v1/jobs?limit=1")).json())["jobs"]
    document: dict[str, Any] = await (await page.request.get(f"/api/v1/status/{jobs[0]['job_id']}")).json()
    return document


@pytest.mark.long
async def test_two_objects_of_four_views_become_two_models(page: Page, service: Service) -> None:
    before = service.submissions()
    await page.select_option("#model", SIDES)
    await drop(page, _views("chair") + _views("lamp"), seed=3000)
    await expect(page.locator("#staged-fault")).to_be_hidden()  # one front each would do
    await page.get_by_role("button", name="Group by name: 2 objects").click()
    await expect(page.locator(".object")).to_have_count(2)
    for name in ("chair", "lamp"):
        selects = _object(page, name).locator("select")
        assert [await one.input_value() for one in await selects.all()] == list(NAMES)
    await expect(page.locator("#send")).to_have_text("Generate 2 models")
    await expect(page.locator("#price")).to_contain_text("2 objects")
    await picture_of(page, "objects-staged")
    service.latency(3)
    await page.click("#send")
    await settled(page, "generating", 2)
    views = page.locator(".card-views")
    await expect(views).to_have_text(["4 views: front, back, left, right"] * 2)
    await picture_of(page, "objects-running")
    await settled(page, "succeeded", 2)
    assert await page.locator(".card-name").all_inner_texts() == ["chair", "lamp"]
    assert service.submissions() - before == 2
    images = (await _job(page))["images"]
    assert [[view["side"] for view in one["views"]] for one in images] == [list(NAMES)] * 2
    await page.reload()
    await settled(page, "succeeded", 2)
    await expect(views).to_have_text(["4 views: front, back, left, right"] * 2)
    await page.locator(".card-open").first.click()
    shown = page.locator(".viewer-views figure")
    await expect(shown.locator("figcaption")).to_have_text(["Front", "Back", "Left", "Right"])
    for place in range(4):
        await shown.nth(place).scroll_into_view_if_needed()
        await until(page, f"document.querySelectorAll('.viewer-views img')[{place}].naturalWidth === 96")
    await picture_of(page, "objects-viewer")


@pytest.mark.long
async def test_pictures_dropped_onto_a_picture_become_one_object_with_it(
    page: Page, service: Service
) -> None:
    before = service.submissions()
    await page.select_option("#model", LONG_LIST)
    await drop(page, ["mug.png", "bowl.png"], seed=3100)
    await expect(page.locator("#staged-fault")).to_be_hidden()
    await drop_onto(page.locator(".tile[title='mug.png']"), ["mug-top.png", "under.png"], seed=3110)
    await expect(page.locator("#staged > li")).to_have_count(2)
    mug = _object(page, "mug")
    assert [await one.input_value() for one in await mug.locator("select").all()] == ["", "top", ""]
    await drop_onto(mug, [f"more-{number}.png" for number in range(6)], seed=3120)
    await expect(mug.locator("select")).to_have_count(8)
    await expect(page.locator(".toast")).to_contain_text("at most 8 views: 1 picture stayed outside")
    await mug.get_by_role("button", name="Remove more-0.png").click()
    await expect(mug.locator("select")).to_have_count(7)
    await page.locator(".tile[title='more-5.png']").get_by_role("button").click()
    await page.click("#send")
    await settled(page, "succeeded", 2)
    assert service.submissions() - before == 2
    assert [len(one["views"]) for one in (await _job(page))["images"]] == [7, 1]


@pytest.mark.long
async def test_a_picture_that_is_here_is_dragged_onto_another(page: Page) -> None:
    await page.select_option("#model", LIST)
    await drop(page, ["cup_front.png", "cup_back.png", "jug_front.png"], seed=3200)
    tile = page.locator(".tile")
    await tile.nth(1).drag_to(tile.nth(0))
    cup = _object(page, "cup")
    assert [await one.input_value() for one in await cup.locator("select").all()] == ["front", "back"]
    # A view that is dragged away leaves its object, which is a picture again with one left.
    await cup.locator(".object-views li").nth(1).drag_to(page.locator(".tile[title='jug_front.png']"))
    await expect(page.locator(".tile")).to_have_attribute("title", "cup_front.png")
    jug = page.locator(".object")
    assert [await one.input_value() for one in await jug.locator("select").all()] == ["front", "back"]


@pytest.mark.long
async def test_a_selection_is_grouped_and_ungrouped_by_the_keyboard(page: Page, service: Service) -> None:
    before = service.submissions()
    await page.select_option("#model", LIST)
    await drop(page, ["a.png", "b.png", "c.png"], seed=3300)
    await page.get_by_label("Select a.png").focus()
    await page.keyboard.press("Space")
    group = page.get_by_role("button", name="Group as one object")
    await expect(group).to_be_disabled()
    await page.keyboard.press("Tab")  # its remove button
    await page.keyboard.press("Tab")
    await expect(page.get_by_label("Select b.png")).to_be_focused()
    await page.keyboard.press("Space")
    await picture_of(page, "objects-selection")
    await group.focus()
    await page.keyboard.press("Enter")
    name = page.get_by_label("Name of the object")
    await expect(name).to_be_focused()
    await expect(page.locator("#announcer")).to_have_text("2 pictures grouped as a.")
    await name.fill('  my [best] "a"  ')
    await page.keyboard.press("Enter")  # sends nothing
    await page.keyboard.press("Tab")
    await expect(name).to_have_value("my best a")
    await expect(page.get_by_role("button", name="Ungroup")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator(".tile")).to_have_count(3)
    await expect(page.get_by_label("Select a.png")).to_be_focused()
    await expect(page.locator("#announcer")).to_have_text("my best a is ungrouped.")
    await expect(page.locator("#send")).to_have_text("Generate 3 models")
    await page.get_by_role("button", name="Remove all").click()
    await expect(page.locator("#staged > li")).to_have_count(0)
    assert service.submissions() == before


@pytest.mark.long
async def test_two_objects_of_one_name_stay_two(page: Page) -> None:
    await page.select_option("#model", LIST)
    for seed in (3400, 3410):
        await drop_onto(page.locator("#dropzone"), ["pot_front.png", "pot_back.png"], seed=seed)
        await page.get_by_role("button", name="Group by name: 1 object").click()
    names = page.get_by_label("Name of the object")
    assert [await one.input_value() for one in await names.all()] == ["pot", "pot 2"]
    await names.nth(1).fill("pot")
    await names.nth(1).blur()
    await expect(names.nth(1)).to_have_value("pot 2")
    await page.click("#send")
    await settled(page, "succeeded", 2)


@pytest.mark.long
async def test_a_side_that_is_changed_goes_round_and_is_sent(page: Page) -> None:
    await page.select_option("#model", SIDES)
    await drop(page, ["stool_front.png", "stool_back.png"], seed=3500)
    await page.get_by_role("button", name="Group by name").click()
    await page.get_by_label("Side of stool_front.png").select_option("back")
    await expect(page.get_by_label("Side of stool_back.png")).to_have_value("front")  # it had the other's
    await page.get_by_label("Side of stool_front.png").select_option("left")
    await page.click("#send")
    await settled(page, "succeeded", 1)
    (image,) = (await _job(page))["images"]
    assert [(one["side"], one["filename"]) for one in image["views"]] == [
        ("front", "stool_back.png"),
        ("left", "stool_front.png"),
    ]


@pytest.mark.long
async def test_what_a_model_does_not_take_is_said_and_not_sent(page: Page, service: Service) -> None:
    before = service.submissions()
    send, said = page.locator("#send"), page.locator("#staged-fault")
    await page.select_option("#model", TWO_OR_MORE)
    await drop(page, ["sofa_left.png", "sofa_top.png", "plain.png"], seed=3600)
    await expect(said).to_contain_text("takes 2 to 4 views of one object. This has 1. Group pictures")
    await expect(send).to_be_disabled()
    await page.get_by_role("button", name="Remove plain.png").click()
    await page.get_by_role("button", name="Group by name").click()
    await expect(send).to_be_enabled()
    await page.select_option("#model", SIDES)
    sofa = _object(page, "sofa").locator(".field-error")
    await expect(sofa).to_contain_text("no view of this side: top. Its sides are: front, back, left, right.")
    await expect(said).to_contain_text("1 object does not fit the model")
    await expect(send).to_be_disabled()
    await picture_of(page, "objects-refused")
    await page.get_by_label("Side of sofa_top.png").select_option("")
    await expect(sofa).to_contain_text("Say what each view shows: front, back, left, right.")
    await page.get_by_label("Side of sofa_top.png").select_option("back")
    await expect(sofa).to_contain_text("needs a view of these sides too: front.")
    await expect(send).to_be_disabled()
    await page.select_option("#model", ONE)
    await expect(sofa).to_contain_text("makes a model of one picture. Ungroup these")
    await expect(send).to_be_disabled()
    await page.evaluate("document.querySelector('#composer').requestSubmit()")
    await expect(page.locator(".card")).to_have_count(0)
    await page.get_by_role("button", name="Ungroup").click()
    await expect(send).to_be_enabled()
    assert service.submissions() == before


@pytest.mark.long
async def test_an_object_that_is_generated_again_keeps_its_views(page: Page, service: Service) -> None:
    before = service.submissions()
    await page.select_option("#model", SIDES)
    await drop(page, _views("desk"), seed=3700)
    await page.get_by_role("button", name="Group by name").click()
    await page.click("#send")
    await settled(page, "succeeded", 1)
    await page.locator(".card-open").click()
    await page.get_by_role("button", name="Generate with other parameters").click()
    await page.locator(".again").get_by_role("button", name="Generate").click()
    await settled(page, "succeeded", 2)
    await expect(page.locator(".card-views")).to_have_text(["4 views: front, back, left, right"] * 2)
    assert service.submissions() - before == 1  # the same views: nothing is bought again


@pytest.mark.long
async def test_folders_are_objects_when_a_person_wants_it(page: Page, tmp_path: Path) -> None:
    await page.select_option("#model", LIST)
    for name in ("bench", "table"):
        (tmp_path / name).mkdir()
        for index, view in enumerate(("front", "one", "two")):
            data = picture("webp", (80, 80), seed=3800 + index + 10 * len(name))
            (tmp_path / name / f"{view}.webp").write_bytes(data)
    await page.set_input_files("#folder", tmp_path)
    await page.get_by_role("button", name="Group by name: 2 objects").click()
    names = page.get_by_label("Name of the object")
    assert [await one.input_value() for one in await names.all()] == ["bench", "table"]
    selects = page.locator(".object select")
    assert [await one.input_value() for one in await selects.all()] == ["front", "", ""] * 2


@pytest.mark.long
async def test_twenty_five_objects_of_four_views_are_bought_once(page: Page, service: Service) -> None:
    before = service.submissions()
    await page.select_option("#model", LIST)
    names = [name for number in range(25) for name in _views(f"thing-{number}")]
    for round_number in (1, 2):
        await drop(page, names, seed=4000)
        await page.get_by_role("button", name="Group by name: 25 objects").click()
        await expect(page.locator("#send")).to_have_text("Generate 25 models")
        await expect(page.locator("#price")).not_to_contain_text("batches")
        if round_number == 1:
            await picture_of(page, "objects-many")
        await page.click("#send")
        await settled(page, "succeeded", 25 * round_number)
        assert service.submissions() - before == 25
    await expect(page.locator(".card-state", has_text="reused, free")).to_have_count(25)


@pytest.mark.long
async def test_a_batch_that_an_earlier_page_kept_is_sent(page: Page, service: Service) -> None:
    before = service.submissions()
    await page.evaluate(
        """bytes => new Promise((done, refuse) => {
          const request = indexedDB.open('image2model-outbox', 1);
          request.onupgradeneeded = () => request.result.createObjectStore('batches', { keyPath: 'key' });
          request.onsuccess = () => {
            const batch = {
              key: 'k'.repeat(32), model: 'fal-ai/trellis', params: {}, maxCost: null, made: Date.now(),
              metadata: {}, own: [{ sku: 'A-1' }],
              files: [new File([new Uint8Array(bytes)], 'kept.webp', { type: 'image/webp' })],
            };
            const transaction = request.result.transaction('batches', 'readwrite');
            transaction.objectStore('batches').put(batch);
            transaction.oncomplete = () => { request.result.close(); done(); };
            transaction.onerror = () => refuse(transaction.error);
          };
        })""",
        list(picture("webp", (80, 80), seed=4100)),
    )
    await page.reload()
    await settled(page, "succeeded", 1)
    (image,) = (await _job(page))["images"]
    assert (image["filename"], image["metadata"]) == ("kept.webp", {"sku": "A-1"})
    assert service.submissions() - before == 1


@pytest.mark.long
@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 1440), ("dark", 390), ("light", 390)])
async def test_objects_fit_in_every_theme_and_on_a_phone(page: Page, theme: str, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 900})
    await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    await page.select_option("#model", TWO_OR_MORE)
    await drop(page, [*_views("chair"), "plain-1.png", "plain-2.png"], seed=3900)
    await page.get_by_role("button", name="Group by name").click()
    await page.get_by_label("Select plain-1.png").check()
    await until(page, "[...document.querySelectorAll('#staged img')].every((one) => one.complete)")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await page.locator("#staged").scroll_into_view_if_needed()
    await picture_of(page, f"objects-{theme}-{width}")
