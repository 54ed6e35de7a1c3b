"""The service with its page, and a browser: one of each for all tests of a process.

Each test signs in with a key of its own, and so sees an empty page. A page that asks another host for
anything, or says an error in its console, fails its test.
"""

import asyncio
import base64
import json
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Route,
    async_playwright,
    expect,
)
from redis import Redis

from image2model.up.store import socket_path, store_folder
from tests.support.pictures import picture
from tests.support.up_process import Up

ADMIN_KEY = "an-admin-key-for-the-tests-of-the-page"
ARTIFACTS = Path(__file__).parent.parent / "artifacts"
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
_FLAGS = [
    *("--no-sandbox", "--disable-background-networking", "--disable-component-update"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
]
# Messages stay long enough for the slowest machine; what is tested of their end sets its own.
_MESSAGES_STAY = """addEventListener('DOMContentLoaded', () => {
  const toasts = document.getElementById('toasts'); if (toasts) toasts.dataset.lifeMs = '600000'; });"""
_HARMLESS = ("GL Driver Message", "rAF timed out", "Failed to load resource", "net::ERR")


class Service:
    """`up` with keys, and its emulator."""

    def __init__(self, up: Up, data_dir: Path) -> None:
        self.up = up
        self.data_dir = data_dir
        self.url = up.url
        self.emulator = next(line.split()[2] for line in up.seen if line.startswith("FAL emulator"))

    def new_key(self, role: str = "user") -> str:
        """A key whose owner has no jobs yet."""
        made: str = self._ask("POST", "/api/v1/admin/keys", {"name": "page", "role": role})["key"]
        return made

    def new_named_key(self) -> tuple[str, str]:
        """The id and the text of a new key."""
        made = self._ask("POST", "/api/v1/admin/keys", {"name": "page", "role": "user"})
        return made["key_id"], made["key"]

    def revoke(self, key_id: str) -> None:
        """The key is no longer known, and its event streams end."""
        address = f"{self.url}/api/v1/admin/keys/{key_id}"
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        with urlopen(Request(address, headers=headers, method="DELETE"), timeout=20):  # noqa: S310 - loopback
            pass

    def streams(self) -> int:
        """How many event streams are open."""
        with urlopen(f"{self.url}/metrics", timeout=20) as answer:  # noqa: S310 - loopback
            lines = answer.read().decode().splitlines()
        return int(
            float(next(line for line in lines if line.startswith("image2model_sse_subscribers")).split()[1])
        )

    def fault(self, kind: str, count: int) -> None:
        """The next requests to FAL meet a fault."""
        _open("POST", f"{self.emulator}/_emulator/faults", {"kind": kind, "count": count})

    def latency(self, seconds: float) -> None:
        """How long a generation takes from now on."""
        _open("POST", f"{self.emulator}/_emulator/settings", {"latency": seconds})

    def runners(self, count: int) -> None:
        """How many generations run at once from now on; the others wait in FAL's queue."""
        _open("POST", f"{self.emulator}/_emulator/settings", {"concurrency": count})

    def store(self) -> Redis:
        """A client of its store, which must be left as it was found."""
        return Redis(unix_socket_path=str(socket_path(store_folder(self.data_dir))))

    def submissions(self) -> int:
        """How many generations FAL was ever asked for."""
        return len(_open("GET", f"{self.emulator}/_emulator/ledger")["submissions"])

    def end_api(self) -> None:
        """The API dies; `up` starts it again."""
        for pid in self.up.pids("image2model api"):
            os.kill(pid, 9)

    def _ask(self, method: str, path: str, body: object) -> dict[str, str]:
        answer: dict[str, str] = _open(method, self.url + path, body, ADMIN_KEY)
        return answer


def _open(method: str, url: str, body: object = None, key: str = "") -> dict:  # type: ignore[type-arg]
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, headers, method=method), timeout=20) as answer:  # noqa: S310 - loopback
        found: dict = json.load(answer)  # type: ignore[type-arg]
        return found


@pytest.fixture(scope="session")
def running() -> Iterator[Service]:
    """The service of all tests of this process."""
    with tempfile.TemporaryDirectory(prefix="i2m ") as folder:
        environment = {"I2M_AUTH": "keys", "I2M_ADMIN_KEY": ADMIN_KEY, "I2M_RATE_LIMIT": "6000/min"}
        data_dir = Path(folder) / "data"
        up = Up(data_dir, "--port", "0", "--latency", "200ms", **environment)
        try:
            yield Service(up.ready(), data_dir)
        finally:
            up.end()


@pytest.fixture
def service(running: Service) -> Iterator[Service]:
    """The same, left as it was found."""
    yield running
    _open("DELETE", f"{running.emulator}/_emulator/faults")
    running.latency(0.2)
    running.runners(1000)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, with WebGL in software."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_FLAGS)
        yield started
        await started.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(
    browser: Browser, service: Service, request: pytest.FixtureRequest
) -> AsyncIterator[BrowserContext]:
    """A fresh profile that nobody has signed in with.

    Graphics in software take most of a processor, so models are drawn only for tests marked `draws`.
    """
    async with watched_context(browser, service.url) as made:
        if request.node.get_closest_marker("draws") is None:
            await made.route("**/model-viewer.min.js", _draw_nothing)
        yield made


@asynccontextmanager
async def watched_context(
    browser: Browser, url: str, *, phone: bool = False
) -> AsyncIterator[BrowserContext]:
    """A fresh profile. Fails at its end if it asked a host other than `url`, or its console said an error.

    `phone`: a touch screen of 390 x 844 points, three pixels each.
    """
    if phone:
        made = await browser.new_context(
            base_url=url,
            viewport={"width": 390, "height": 844},
            device_scale_factor=3,
            is_mobile=True,
            has_touch=True,
            reduced_motion="reduce",
        )
    else:
        made = await browser.new_context(
            base_url=url, viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
        )
    made.set_default_timeout(PATIENCE_MS)
    await made.add_init_script(_MESSAGES_STAY)
    faults: list[str] = []
    made.on("request", lambda request: _watch(request.url, url, faults))
    made.on("console", lambda said: _hear(said, faults))
    made.on("weberror", lambda error: faults.append(str(error.error)))
    yield made
    await made.close()
    assert faults == []


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext, service: Service) -> Page:
    """The page, signed in with a key of its own."""
    await sign_in(context, service.new_key())
    return await open_page(context)


async def sign_in(context: BrowserContext, key: str) -> None:
    """The cookie that the sign-in form would bring."""
    headers = {"Origin": f"http://{urlsplit(await _url(context)).netloc}"}
    answer = await context.request.post("/api/v1/session", data={"key": key}, headers=headers)
    assert answer.status == 201


async def open_page(context: BrowserContext) -> Page:
    """Open the page and wait until it is usable."""
    opened = await context.new_page()
    await opened.goto("/")
    await opened.wait_for_selector("html[data-ready]")
    return opened


async def live_models(page: Page) -> None:
    """Wait until the page has FAL's own list of models, which the service reads after its start."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while (await (await page.request.get("/api/v1/models")).json())["source"] != "fal":
            await asyncio.sleep(0.1)
    await page.reload()
    await page.wait_for_selector("html[data-ready]")


async def drop(page: Page, names: list[str], seed: int = 0, *, different: int = 1000) -> None:
    """Drag pictures from outside and let them go over the page; after `different` ones they repeat."""
    await drop_onto(page.locator("#dropzone"), names, seed, different=different)
    await expect(page.locator("#staged > li")).to_have_count(len(names))


async def drop_onto(place: Locator, names: list[str], seed: int = 0, *, different: int = 1000) -> None:
    """The same over one place of the page."""
    pictures = [picture("png", (96, 96), seed=seed + index) for index in range(min(different, len(names)))]
    encoded = [base64.b64encode(one).decode() for one in pictures]
    files = [{"name": name, "data": encoded[index % different]} for index, name in enumerate(names)]
    transfer = await place.page.evaluate_handle(
        """files => { const transfer = new DataTransfer();
        for (const { name, data } of files) {
          const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
          transfer.items.add(new File([bytes], name, { type: 'image/png' }));
        } return transfer; }""",
        files,
    )
    for kind in ("dragenter", "dragover", "drop"):
        await place.dispatch_event(kind, {"dataTransfer": transfer})


async def generate(page: Page, names: list[str], seed: int = 0, *, different: int = 1000) -> None:
    """Drop pictures and send them."""
    await drop(page, names, seed, different=different)
    await page.click("#send")


async def settled(page: Page, status: str, count: int) -> None:
    """Wait until so many cards have a state."""
    await expect(page.locator(f".card[data-status={status}]")).to_have_count(count)


async def until(page: Page, expression: str) -> None:
    """Wait until it is true. Playwright's own way evaluates text in the page, which the policy forbids."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.02)


async def picture_of(page: Page, name: str) -> None:
    """Keep what the screen shows, for people to look at."""
    ARTIFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTIFACTS / f"{name}.png")


async def _url(context: BrowserContext) -> str:
    answer = await context.request.get("/api/v1/health/live")
    return answer.url


async def _draw_nothing(route: Route) -> None:
    script = "customElements.define('model-viewer', class extends HTMLElement {})"
    await route.fulfill(body=script, content_type="text/javascript")


def _watch(url: str, own: str, faults: list[str]) -> None:
    if not url.startswith((own, "blob:", "data:")):
        faults.append(f"asked another host: {url}")


def _hear(said: ConsoleMessage, faults: list[str]) -> None:
    if said.type in ("error", "warning"):
        _note(said.text, faults)


def _note(text: str, faults: list[str]) -> None:
    if not any(part in text for part in _HARMLESS):
        faults.append(text)
