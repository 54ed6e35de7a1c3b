"""Many tabs of one browser: one connection for all of them, whichever way they share it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from playwright.async_api import Browser, CDPSession, Page, expect

from tests.web.conftest import Service, generate, open_page, settled, sign_in, until, watched_context

pytestmark = pytest.mark.asyncio(loop_scope="session")

TABS = 20
WAYS = {
    "worker": "",
    "elected": "delete globalThis.SharedWorker;",
    "alone": "delete globalThis.SharedWorker; delete globalThis.BroadcastChannel;",
}


@asynccontextmanager
async def tabs(browser: Browser, service: Service, way: str, count: int) -> AsyncIterator[list[Page]]:
    """So many tabs of one profile, signed in with one new key."""
    async with watched_context(browser, service.url) as context:
        await context.add_init_script(WAYS[way])
        await context.route("**/model-viewer.min.js", _nothing)
        await sign_in(context, service.new_key())
        yield [await open_page(context) for _ in range(count)]


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["worker", "elected"])
async def test_twenty_tabs_are_live_by_one_connection(browser: Browser, service: Service, way: str) -> None:
    async with tabs(browser, service, way, TABS) as opened:
        await generate(opened[3], [f"{number}.png" for number in range(5)], seed=7000)
        for page in opened:
            await settled(page, "succeeded", 5)
        assert await streams_of(service) == 1


@pytest.mark.long
@pytest.mark.parametrize("way", ["worker", "elected"])
async def test_connection_that_ends_is_replaced_and_nothing_is_missed(
    browser: Browser, service: Service, way: str
) -> None:
    async with tabs(browser, service, way, 4) as opened:
        await generate(opened[1], ["before.png"], seed=7100)
        for page in opened:
            await settled(page, "succeeded", 1)
        service.latency(1)
        await generate(opened[1], ["during.png"], seed=7101)
        if way == "worker":
            await end_worker(browser)
            left = opened
        else:
            await opened[0].close()
            left = opened[1:]
        for page in left:
            await settled(page, "succeeded", 2)
        assert await streams_of(service) == 1


@pytest.mark.long
async def test_tab_without_either_has_a_connection_while_it_is_seen(
    browser: Browser, service: Service
) -> None:
    async with tabs(browser, service, "alone", 1) as (page,):
        await generate(page, ["alone.png"], seed=7200)
        await settled(page, "succeeded", 1)


@pytest.mark.parametrize("way", ["worker", pytest.param("elected", marks=pytest.mark.long)])
async def test_all_tabs_notice_that_somebody_signed_out_and_in(
    browser: Browser, service: Service, way: str
) -> None:
    async with tabs(browser, service, way, 3) as opened:
        await generate(opened[0], ["mine.png"], seed=7300)
        for page in opened:
            await settled(page, "succeeded", 1)
        await opened[2].get_by_role("button", name="Sign out").click()
        for page in opened:
            await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
            await expect(page.locator(".card")).to_have_count(0)
        await opened[0].get_by_label("API key").fill(service.new_key())
        await opened[0].get_by_role("button", name="Sign in").click()
        for page in opened:
            await expect(page.get_by_role("heading", name="Sign in")).to_be_hidden()
        await generate(opened[1], ["another.png"], seed=7301)
        for page in opened:
            await settled(page, "succeeded", 1)


@pytest.mark.long
async def test_all_tabs_notice_that_their_key_was_revoked(browser: Browser, service: Service) -> None:
    async with watched_context(browser, service.url) as context:
        key_id, key = service.new_named_key()
        await sign_in(context, key)
        opened = [await open_page(context) for _ in range(3)]
        service.revoke(key_id)
        for page in opened:
            await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.long
async def test_tab_that_comes_later_knows_what_the_others_know(browser: Browser, service: Service) -> None:
    async with tabs(browser, service, "worker", 1) as (page,):
        service.latency(1)
        await generate(page, ["late.png"], seed=7400)
        later = await open_page(page.context)
        await settled(later, "succeeded", 1)
        await until(later, "document.querySelectorAll('.card').length === 1")
        assert await streams_of(service) == 1


async def test_script_of_the_worker_may_connect_to_the_service_alone(service: Service) -> None:
    async with httpx.AsyncClient(base_url=service.url) as http:
        page = (await http.get("/")).text
        base = re.search(r"/assets/[0-9a-f]+/", page)
        assert base is not None
        answer = await http.get(f"{base[0]}js/later/event-worker.js")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; connect-src 'self'; ")


async def end_worker(browser: Browser) -> None:
    """End the shared worker from outside, as a browser that needs its memory does."""
    session = await browser.new_browser_cdp_session()
    try:
        found = (await session.send("Target.getTargets", {"filter": [{}]}))["targetInfos"]
        (worker,) = [one for one in found if one["type"] == "shared_worker"]
        await _close(session, worker["targetId"])
    finally:
        await session.detach()


async def _close(session: CDPSession, target: str) -> None:
    attached = await session.send("Target.attachToTarget", {"targetId": target, "flatten": False})
    order = {"id": 1, "method": "Runtime.evaluate", "params": {"expression": "close()"}}
    await session.send(
        "Target.sendMessageToTarget", {"message": json.dumps(order), "sessionId": attached["sessionId"]}
    )


async def streams_of(service: Service) -> int:
    """How many event streams the service serves, once those of closed tabs have ended."""
    async with asyncio.timeout(60):
        while (count := service.streams()) > 1:
            await asyncio.sleep(0.05)
    return count


async def _nothing(route: object) -> None:
    await route.fulfill(  # type: ignore[attr-defined]
        body="customElements.define('model-viewer', class extends HTMLElement {})",
        content_type="text/javascript",
    )
