"""What a worker holds in memory is bounded by bytes, not by its concurrency; who only waits holds nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from image2model import settings
from image2model.domain import FalRequest
from image2model.fal.download import FalDownload
from image2model.fal.endpoints import DEFAULT_MODEL, endpoint_of
from image2model.fal.failures import FalUnreachable
from image2model.fal.files import FalFile
from image2model.fal.gateway import FalGateway
from image2model.fal.result import FalResult
from image2model.storage.address import open_storage
from image2model.store import images
from image2model.store.images import Task
from image2model.worker import collect, submit
from image2model.worker.context import WorkerContext
from image2model.worker.memory import MemoryBudget
from tests.support.glb import glb
from tests.support.sketches import picture


async def test_first_come_first_served_within_the_budget() -> None:
    budget = MemoryBudget(10)
    order: list[int] = []

    async def hold(size: int) -> None:
        async with budget.hold(size):
            order.append(size)
            await asyncio.sleep(0.01)

    async with asyncio.timeout(5):
        await asyncio.gather(*(hold(size) for size in (4, 5, 30, 3, 2)))
    assert order == [4, 5, 30, 3, 2]


async def test_those_that_go_away_while_they_wait_leave_everything_to_the_others() -> None:
    budget = MemoryBudget(10)

    async def hold(size: int) -> None:
        async with budget.hold(size):
            await asyncio.sleep(0)

    for turns in range(5):  # from before they are served to after
        first = asyncio.create_task(hold(10))
        waiting = [asyncio.create_task(hold(10)) for _ in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for one in waiting:
            one.cancel()
        await asyncio.gather(first, *waiting, return_exceptions=True)
    async with asyncio.timeout(5):
        await hold(10)


class _Fal:
    """Stands in for FAL's hosts: counts what is held, and fails where the URL says so."""

    def __init__(self) -> None:
        self.uploading = self.most = 0

    async def upload(self, _: bytes, *, filename: str, content_type: str) -> str:  # noqa: ARG002
        self.uploading += 1
        self.most = max(self.most, self.uploading)
        await asyncio.sleep(0.05)
        self.uploading -= 1
        return "http://cdn/1.png"

    @asynccontextmanager
    async def download(self, url: str) -> AsyncIterator[FalDownload]:
        if "away" in url:
            raise FalUnreachable("the media host is away")
        yield cast("FalDownload", _Whole())

    async def result(self, _: object, request: FalRequest) -> FalResult:
        return FalResult(files=(FalFile("model", request.response_url),))


class _Whole:
    data = glb()
    size = len(data)

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.data


@asynccontextmanager
async def _context(fal: _Fal, folder: Path) -> AsyncIterator[WorkerContext]:
    given = settings.load({}, redis_url="redis://unused", storage_url=(folder / "files").as_uri())
    context = WorkerContext(
        given, cast("Any", None), open_storage(given.storage_url), cast("FalGateway", fal)
    )
    try:
        yield context
    finally:
        context.close()


def _task(image_id: str, **fields: object) -> Task:
    empty = dict.fromkeys(Task.__struct_fields__, "")
    known = {"job_id": "j", "image_id": image_id, "source_key": "originals/j/1.png", **fields}
    return Task(**{**empty, **known})  # type: ignore[arg-type]


async def test_pictures_in_memory_are_bounded_by_their_bytes(tmp_path: Path) -> None:
    fal = _Fal()
    async with _context(fal, tmp_path) as context:
        await context.storage.put("originals/j/1.png", picture(1, (48, 32)), content_type="image/png")
        tasks = [_task(str(number), size=32 << 20) for number in range(20)]
        async with asyncio.timeout(20):
            await asyncio.gather(*(submit._bring(context, task) for task in tasks))
    assert 1 < fal.most <= 4


async def test_results_that_cannot_be_fetched_hold_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "full_jitter", lambda *_, **__: 60.0)
    done: list[str] = []

    async def succeed(_redis: object, image_id: str, *_: object) -> None:
        done.append(image_id)

    monkeypatch.setattr(images, "succeed", succeed)
    async with _context(_Fal(), tmp_path) as context:
        stuck = [asyncio.create_task(_collect(context, f"away{number}")) for number in range(50)]
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            await _collect(context, "good")
        assert done == ["good"]
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


async def _collect(context: WorkerContext, name: str) -> None:
    request = FalRequest("r", "http://fal/status", f"http://cdn/{name}.glb", "http://fal/cancel")
    task = _task(name, model=DEFAULT_MODEL, params={})
    await collect.collect(context, task, "fence", request, endpoint_of(DEFAULT_MODEL))
