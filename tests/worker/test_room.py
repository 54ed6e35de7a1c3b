"""A disk that is nearly full: nothing is bought that could not be kept."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from image2model.storage.address import open_storage
from image2model.worker import room
from image2model.worker.room import DiskRoom, NoRoom

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


async def test_storage_that_is_no_disk_has_room() -> None:
    await DiskRoom(open_storage("memory://")).check()
