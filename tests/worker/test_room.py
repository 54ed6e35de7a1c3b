"""A disk that is nearly full: nothing is bought that could not be kept."""

import asyncio
import shutil
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.storage.address import open_storage
from image2model.worker import room, submit
from image2model.worker.room import DiskRoom, NoRoom
from image2model.worker.running import RunningTask

Usage = namedtuple("Usage", "total used free")


async def test_nearly_full_disk_stops_buying_until_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [10 << 20]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 30, 0, free[0]))
    monkeypatch.setattr(room, "_REMEMBERED_S", 0.0)
    checked = DiskRoom(open_storage((tmp_path / "files").as_uri()))
    with pytest.raises(NoRoom):
        await checked.check()
    free[0] = 1 << 30
    await checked.check()


async def test_nobody_passes_while_the_first_one_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 30, 0, 10 << 20))
    checked = DiskRoom(open_storage((tmp_path / "files").as_uri()))
    ended = await asyncio.gather(*(checked.check() for _ in range(20)), return_exceptions=True)
    assert [type(one) for one in ended] == [NoRoom] * 20


async def test_disk_that_fills_up_during_the_wait_for_a_permit_stops_the_post(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [1 << 30]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 30, 0, free[0]))
    monkeypatch.setattr(room, "_REMEMBERED_S", 0.0)

    async def bring(*_: object) -> tuple[str, bytes]:
        return "http://cdn/1.png", b""

    async def take(_: object) -> None:
        free[0] = 10 << 20

    monkeypatch.setattr(submit, "_bring", bring)
    context: Any = SimpleNamespace(
        room=DiskRoom(open_storage((tmp_path / "files").as_uri())),
        permits=SimpleNamespace(take=take),
        places=asyncio.Semaphore(1),
    )
    task: Any = SimpleNamespace(model=DEFAULT_MODEL, image_id="i")
    with pytest.raises(NoRoom):
        await submit.submit(context, task, RunningTask("i", "w:1", 10))


async def test_storage_that_is_no_disk_has_room() -> None:
    await DiskRoom(open_storage("memory://")).check()
