"""Files beside a model: waited for while they come, left once they do not, and never in another's way."""

import asyncio
import shutil
import time
from collections import namedtuple
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from image2model.domain import ImageResult, WarningCode
from image2model.errors import ImageFailure
from image2model.fal.files import FalFile
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from image2model.generation import fetch_file, limits
from image2model.generation.limits import FilePatience
from image2model.generation.result_files import ResultFetcher
from image2model.media.model_probe import ModelProbe
from image2model.storage.layout import ResultNames
from image2model.worker.process import WorkerContext
from tests.support.altered_fal import AlteredFal, Serve, altered_fal, silent, unsized, whole
from tests.support.fleet import Fleet
from tests.support.glb import document, glb

NAMES = ResultNames("job", "image", flat=True)
QUICK = FilePatience(grace=0.5, model=2, silence=0.4, longest_pause=0.1)
Usage = namedtuple("Usage", "total used free")


class Desk:
    """Files at an altered FAL, fetched in this process by a worker of little patience."""

    def __init__(self, fleet: Fleet, fal: AlteredFal, context: WorkerContext) -> None:
        self.fleet = fleet
        self.fal = fal
        self.context = context

    def file(self, kind: str, serve: Serve | bytes, name: str) -> FalFile:
        """One that is served so."""
        return FalFile(kind, self.fal.serve(name, serve), field=kind)

    async def take(self, *sides: FalFile, image_id: str = "image") -> ImageResult:
        """The result of a whole model with these beside it."""
        model = self.file("model", glb(), "m.glb")
        return await ResultFetcher(self.context, ResultNames("job", image_id, flat=True)).fetch(
            (model, *sides)
        )


@pytest.fixture
async def desk(fleet: Fleet) -> AsyncIterator[Desk]:
    """A worker's parts, without its process."""
    async with altered_fal(fleet.emulator.url) as fal, _worker(fleet, fal.url) as context:
        context.patience = QUICK
        yield Desk(fleet, fal, context)


@asynccontextmanager
async def _worker(fleet: Fleet, fal_url: str) -> AsyncIterator[WorkerContext]:
    given = fleet.settings(I2M_FAL_BASE_URL=fal_url)
    async with FalGateway(given.fal_key or "", FalHosts.at(fal_url)) as gateway:
        context = WorkerContext(given, fleet.redis, fleet.storage, gateway)
        try:
            yield context
        finally:
            context.close()


def dripping(pieces: int, every: float) -> Serve:
    """A file that comes slowly, and whole."""

    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = pieces * 1000
        await response.prepare(request)
        for _ in range(pieces):
            await response.write(b"x" * 1000)
            await asyncio.sleep(every)
        return response

    return serve


@pytest.mark.parametrize("serve", [silent(), silent(b"some bytes")])
async def test_file_that_brings_no_byte_is_left(serve: Serve, desk: Desk) -> None:
    began = time.monotonic()
    result = await desk.take(desk.file("preview", serve, "p.png"))
    assert QUICK.silence <= time.monotonic() - began < 5
    assert [(one.code, one.file) for one in result.warnings] == [(WarningCode.FILE_MISSING, "preview")]
    assert "no byte for 0.4 s" in result.warnings[0].message
    assert [one.kind for one in result.missing] == ["preview"]
    assert [file.kind for file in result.files] == ["model"]
    assert [found.key async for found in desk.fleet.storage.list()] == ["results/job/image.model.glb"]


async def test_file_that_comes_slowly_is_waited_for(desk: Desk) -> None:
    # twelve times 100 ms is longer than the silence that is allowed
    slow = FalFile("preview", desk.fal.serve("p.png", dripping(12, 0.1)))
    result = await desk.take(slow)
    assert [(file.kind, file.size) for file in result.files[1:]] == [("preview", 12_000)]


async def test_waiting_for_a_place_is_not_held_against_a_file(desk: Desk) -> None:
    desk.context.side_fetches = asyncio.Semaphore(1)
    sides = [desk.file(f"t-{n}", dripping(3, 0.1), f"{n}.png") for n in range(4)]
    assert (await desk.take(*sides)).warnings == ()


@pytest.mark.long
async def test_hosts_that_hang_hold_up_no_model(desk: Desk) -> None:
    desk.context.patience = msgspec.structs.replace(QUICK, silence=15)
    hanging = desk.file("preview", silent(), "p.png")
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        results = [group.create_task(desk.take(hanging, image_id=f"i{n}")) for n in range(40)]
        for number in range(40):
            key = f"results/job/i{number}.model.glb"
            while not await _is_stored(desk, key):
                await asyncio.sleep(0.02)
        assert time.monotonic() - began < 15
    assert all(len(task.result().warnings) == 1 for task in results)


async def _is_stored(desk: Desk, key: str) -> bool:
    return any([found.key == key async for found in desk.fleet.storage.list(key.rpartition("/")[0])])


async def test_full_disk_is_waited_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [10 << 20]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 30, 0, free[0]))
    monkeypatch.setattr(limits, "_REMEMBERED_S", 0.0)
    taking = asyncio.create_task(desk.take())
    while desk.fal.fetched("m.glb") < 3:
        await asyncio.sleep(0.01)
    free[0] = 1 << 30
    assert (await taking).warnings == ()


async def test_disk_that_stays_full_is_the_storages_fault(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 30, 0, 10 << 20))
    with pytest.raises(ImageFailure, match="disk is full") as failed:
        await desk.take()
    assert failed.value.code == "storage_failed"


async def test_disk_that_fills_up_during_a_transfer_stops_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def shrinking(_path: Path) -> Usage:
        nonlocal calls
        calls += 1
        return Usage(1 << 30, 0, 1 << 30 if calls == 1 else 1 << 20)

    monkeypatch.setattr(shutil, "disk_usage", shrinking)
    monkeypatch.setattr(limits, "_REMEMBERED_S", 0.0)
    monkeypatch.setattr(fetch_file, "_CHECK_EVERY", 1 << 20)
    side = desk.file("splat", unsized(b"x" * (12 << 20)), "s.ply")
    found = await ResultFetcher(desk.context, NAMES).fetch_side_file(side)
    assert "disk is full" in getattr(found, "reason", "")
    assert [one.key async for one in desk.fleet.storage.list()] == []


async def test_large_files_hold_a_bounded_share_of_the_memory(desk: Desk) -> None:
    held: list[int] = []
    hold = desk.context.result_bytes.hold

    @asynccontextmanager
    async def noted(size: int) -> AsyncIterator[None]:
        held.append(size)
        async with hold(size):
            yield

    desk.context.result_bytes.hold = noted  # type: ignore[method-assign]  # only looked at
    data = glb(document(), bytes(100 << 20))
    file = desk.file("model", whole(data), "m.glb")
    found = await ResultFetcher(desk.context, NAMES).fetch_model(file)
    assert found.file is not None
    assert held == [48 << 20]


async def test_file_without_an_end_is_left(desk: Desk) -> None:
    """It always brings another byte: the image waited for as long as its host liked."""
    desk.context.patience = msgspec.structs.replace(QUICK, side=1)
    result = await desk.take(desk.file("preview", dripping(600, 0.1), "p.png"))
    assert [one.code for one in result.warnings] == [WarningCode.FILE_MISSING]
    assert "not whole after 1 s" in result.warnings[0].message
    assert [found.key async for found in desk.fleet.storage.list()] == ["results/job/image.model.glb"]


async def test_memory_of_files_beside_models_is_not_that_of_models(desk: Desk) -> None:
    """Files that drip without a length hold the largest share each: two of them hold all there is."""
    desk.context.patience = msgspec.structs.replace(QUICK, silence=15)
    held = asyncio.Event()
    async with desk.context.side_bytes.hold(1 << 40):
        taking = asyncio.create_task(desk.take(desk.file("preview", whole(b"x"), "p.png")))
        while not await _is_stored(desk, "results/job/image.model.glb"):
            await asyncio.sleep(0.02)
        held.set()
    assert held.is_set()
    assert (await taking).warnings == ()


async def test_fault_in_the_measuring_keeps_no_model(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_probe: object) -> None:
        raise ArithmeticError("nobody thought of this")

    monkeypatch.setattr(ModelProbe, "measured", broken)
    found = await ResultFetcher(desk.context, NAMES).fetch([desk.file("model", glb(), "m.glb")])
    assert found.mesh is None
    assert [one.code for one in found.warnings] == [WarningCode.FILE_NOT_CHECKED]


async def test_model_of_a_large_description_is_measured_in_another_process(desk: Desk) -> None:
    data = glb(document(extras=["x" * 1000] * 1000))
    found = await ResultFetcher(desk.context, NAMES).fetch([desk.file("model", data, "m.glb")])
    assert found.mesh is not None
    assert found.warnings == ()
