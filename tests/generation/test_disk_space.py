"""A disk that is nearly full: nothing is bought that could not be kept."""

import asyncio
import shutil
from collections import namedtuple
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from image2model.generation import limits, loading, submit
from image2model.generation.limits import DiskSpace, NoDiskSpace
from image2model.queue.running import RunningTask
from image2model.storage.address import open_storage
from image2model.store.keys import key
from image2model.worker.process import WorkerContext
from tests.support.fleet import Fleet
from tests.support.jobs import pick
from tests.support.wait import until

Usage = namedtuple("Usage", "total used free")


async def test_nearly_full_disk_stops_buying_until_there_is_space_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [10 << 20]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 30, 0, free[0]))
    monkeypatch.setattr(limits, "_REMEMBERED_S", 0.0)
    checked = DiskSpace(open_storage((tmp_path / "files").as_uri()))
    with pytest.raises(NoDiskSpace):
        await checked.check()
    free[0] = 1 << 30
    await checked.check()


async def test_nobody_passes_while_the_first_one_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 30, 0, 10 << 20))
    checked = DiskSpace(open_storage((tmp_path / "files").as_uri()))
    ended = await asyncio.gather(*(checked.check() for _ in range(20)), return_exceptions=True)
    assert [type(one) for one in ended] == [NoDiskSpace] * 20


async def test_disk_that_fills_up_during_the_wait_for_a_permit_stops_the_post(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [1 << 30]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 30, 0, free[0]))
    monkeypatch.setattr(limits, "_REMEMBERED_S", 0.0)
    await fleet.submit(1)
    (claim,) = await pick(fleet.redis)
    task = await loading.load(fleet.redis, claim.task_id)
    await fleet.redis.execute_command("ZADD", key("permits"), 1, "another")
    async with _worker_of(fleet) as context:
        running = RunningTask(claim.task_id, claim.token, claim.score)
        submitting = asyncio.create_task(submit.submit(context, task, running))
        await until(lambda: _waits(fleet, claim.task_id))
        free[0] = 10 << 20
        await fleet.redis.execute_command("DEL", key("permits"))
        with pytest.raises(NoDiskSpace):
            await submitting
    assert fleet.emulator.submissions() == []


@asynccontextmanager
async def _worker_of(fleet: Fleet) -> AsyncIterator[WorkerContext]:
    """What a worker has that may have one picture at FAL."""
    given = fleet.settings(I2M_MAX_CONCURRENT="1")
    async with FalGateway(given.fal_key or "", FalHosts.at(given.fal_base_url)) as fal:
        context = WorkerContext(given, fleet.redis, fleet.storage, fal)
        try:
            yield context
        finally:
            context.close()


async def _waits(fleet: Fleet, image_id: str) -> bool:
    """Whether it is prepared, so that it waits for a permit."""
    return await fleet.redis.zscore(key("prepared"), image_id) is not None


async def test_storage_that_is_no_disk_has_space() -> None:
    await DiskSpace(open_storage("memory://")).check()
