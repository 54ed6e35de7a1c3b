"""kill -9 of the worker in each window of a fetch: the next one goes on, and nothing is bought twice."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from image2model.domain import Counts
from tests.fetching.conftest import PRIVATE, World
from tests.support.gate import Hold, calls
from tests.support.picture_server import PictureServer, held
from tests.support.served_api import MakeService
from tests.support.sketches import picture
from tests.support.stage import Stage
from tests.support.wait import until

PNG, OTHER = picture(1, (48, 32)), picture(2, (48, 32))
WINDOWS: dict[str, Callable[[Stage], Hold]] = {
    "stored, before it is noted": lambda stage: stage.store.hold(
        calls("fetching/note_fetched"), answer=False
    ),
    "noted, before the reply": lambda stage: stage.store.hold(calls("fetching/note_fetched"), answer=True),
    "before the commit": lambda stage: stage.store.hold(calls("fetching/finish_fetch"), answer=False),
    "after the commit": lambda stage: stage.store.hold(calls("fetching/finish_fetch"), answer=True),
}


@pytest.fixture
def staged(stage: Stage, make_service: MakeService, pictures: PictureServer) -> tuple[Stage, World]:
    return stage, World(stage.fleet, make_service(fetch_allow_private="1"), pictures)


@pytest.mark.long
@pytest.mark.parametrize("window", WINDOWS)
async def test_killed_around_a_write(staged: tuple[Stage, World], window: str, tmp_path: Path) -> None:
    stage, world = staged
    hold = WINDOWS[window](stage)
    worker = stage.start_worker(**PRIVATE)
    # one picture, of which two variants are made; the endpoint has no seed, so both are the same run
    body = {"images": [{"url": world.pictures.put("/1.png", PNG)}], "variants": 2, "model": "fal-ai/triposr"}
    job_id = world.accepted(body)
    async with asyncio.timeout(60):
        await hold.reached.wait()
    worker.send(signal.SIGKILL)
    await worker.exit_code()
    world.start_worker()
    job = await world.ended(job_id, 100)
    assert job.counts == Counts(succeeded=2)
    assert [image.width for image in job.images] == [48, 48]
    assert len(world.fleet.emulator.submissions()) == 2
    assert await world.fetches() == []
    originals = [path for path in (tmp_path / "files" / "originals").rglob("*") if path.is_file()]
    assert len(originals) == 1
    again = "stored" in window
    assert len(world.pictures.requests("/1.png")) == (2 if again else 1)


@pytest.mark.long
async def test_killed_while_the_picture_comes(staged: tuple[Stage, World]) -> None:
    _, world = staged
    go = asyncio.Event()
    job_id = world.accepted({"images": [{"url": world.pictures.put("/1.png", held(PNG, go), PNG)}]})
    worker = world.start_worker()

    async def asked() -> bool:
        return bool(world.pictures.requests("/1.png"))

    await until(asked, timeout=60)
    worker.send(signal.SIGKILL)
    await worker.exit_code()
    world.start_worker()
    job = await world.ended(job_id, 100)
    assert job.counts == Counts(succeeded=1)
    assert len(world.fleet.emulator.submissions()) == 1


@pytest.mark.long
async def test_killed_between_two_views(staged: tuple[Stage, World]) -> None:
    stage, world = staged
    hold = stage.store.hold(calls("fetching/note_fetched", b"\x01"), answer=True)
    worker = stage.start_worker(**PRIVATE)
    views = [
        {"url": world.pictures.put("/front.png", PNG), "side": "front"},
        {"url": world.pictures.put("/back.png", OTHER), "side": "back"},
    ]
    model = "fal-ai/hunyuan3d-v3/image-to-3d"
    job_id = world.accepted({"model": model, "objects": [{"name": "chair", "views": views}]})
    async with asyncio.timeout(60):
        await hold.reached.wait()
    worker.send(signal.SIGKILL)
    await worker.exit_code()
    world.start_worker()
    assert (await world.ended(job_id, 100)).counts == Counts(succeeded=1)
    # what was noted as stored is not fetched again
    assert len(world.pictures.requests("/front.png")) == 1
