"""Who may see what."""

import pytest
from playwright.async_api import BrowserContext, expect

from image2model.store.keys import key
from tests.web.conftest import ADMIN_KEY, Service, generate, open_page, picture_of, settled, sign_in

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.long
async def test_signing_in_shows_what_is_ones_own_and_signing_out_hides_it(
    context: BrowserContext, service: Service
) -> None:
    key = service.new_key()
    page = await context.new_page()
    await page.goto("/")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await picture_of(page, "sign-in")
    await page.get_by_label("API key").fill("i2m_wrong")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("This key is not known here.")
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_selector("html[data-ready]")
    await generate(page, ["mine.png"], seed=900)
    await settled(page, "succeeded", 1)
    assert await page.evaluate("document.cookie") == ""
    await expect(page.locator("#admin-open")).to_be_hidden()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.locator(".card")).to_have_count(0)
    await page.reload()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.long
async def test_an_administrator_sees_that_fal_refuses_the_admin_key(
    context: BrowserContext, service: Service
) -> None:
    state = key("fal_deletion_state")
    with service.store() as store:
        store.hset(state, mapping={"refused": "This key is not an admin's", "failing": "2"})
        store.zadd(key("fal_deletions"), {"r-1": 4e12, "r-2": 4e12})
        try:
            await sign_in(context, ADMIN_KEY)
            page = await open_page(context)
            await page.get_by_role("button", name="Admin").click()
            panel = page.get_by_role("region", name="Privacy at FAL")
            await expect(panel).to_contain_text("Anyone who has a file’s address can open it")
            await expect(panel).to_contain_text("FAL refuses the admin key (This key is not an admin's).")
            await expect(panel.get_by_role("table")).to_contain_text("To be deleted")
            await picture_of(page, "admin-privacy")
        finally:
            store.delete(state, key("fal_deletions"))


@pytest.mark.long
async def test_an_administrator_pauses_replays_and_makes_keys(
    context: BrowserContext, service: Service
) -> None:
    await sign_in(context, ADMIN_KEY)
    page = await open_page(context)
    service.fault("422", 1)
    await generate(page, ["letter.png"], seed=910)
    await settled(page, "failed", 1)
    await page.get_by_role("button", name="Admin").click()
    await expect(page.get_by_role("table", name="Workers")).to_contain_text("ago")
    await page.get_by_role("button", name="Replay letter.png").click()
    await expect(page.get_by_role("button", name="Replay letter.png")).to_have_count(0)

    await page.get_by_role("button", name="Pause Generation").click()
    await expect(page.get_by_role("button", name="Resume Generation")).to_be_visible()
    await picture_of(page, "admin")
    await page.get_by_role("button", name="Resume Generation").click()
    await expect(page.get_by_role("button", name="Pause Generation")).to_be_visible()

    await page.get_by_role("button", name="New key").click()
    await page.get_by_label("Name", exact=True).fill("workshop")
    await page.get_by_role("button", name="Make the key").click()
    shown = page.get_by_text("The key of “workshop”")
    await expect(shown).to_contain_text("i2m_")
    await page.get_by_role("button", name="Revoke workshop").first.click()
    await page.get_by_role("button", name="Revoke", exact=True).click()
    await expect(page.get_by_role("table", name="Keys")).to_contain_text("revoked")
    await page.get_by_role("button", name="Back to the models").click()
    await settled(page, "succeeded", 1)
