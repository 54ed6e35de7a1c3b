"""A put gets its directory, whoever removes what is empty."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from obstore.exceptions import GenericError

from image2model.storage.directories import in_its_directory
from image2model.storage.errors import StorageError
from image2model.storage.local_folder import LocalFolder
from image2model.storage.objects import ObjectStorage
from image2model.storage.streamed_put import PART_BYTES

KEY = "results/job/sub/file"
PNG = "image/png"

# Another process that makes and removes the same directories, as fast as it can.
MEDDLE = """
import os, sys
levels = ["results", "results/job", "results/job/sub"]
print("begun", flush=True)
while True:
    for work, names in ((os.rmdir, levels[::-1]), (os.mkdir, levels), (os.rmdir, levels[::-1])):
        for name in names:
            try:
                work(os.path.join(sys.argv[1], name))
            except OSError:
                pass
"""


@contextmanager
def meddling(folder: Path) -> Iterator[None]:
    command = [sys.executable, "-c", MEDDLE, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        try:
            yield
        finally:
            process.kill()


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


async def large() -> AsyncIterator[bytes]:
    yield bytes(PART_BYTES)
    yield b"more"


async def test_puts_of_any_kind_come_through_while_another_process_removes_their_directory(
    local: ObjectStorage, folder: Path
) -> None:
    async def cycle(number: int) -> None:
        key = f"{KEY}{number}"
        for turn in range(150):
            if turn % 50 == 0:
                await local.put_stream(key, large(), content_type=PNG)
            elif turn % 2:
                await local.copy("source", key)
            else:
                await local.put(key, b"x" * 100, content_type=PNG)
            assert (await local.head(key)).size > 0
            await local.delete([key])

    await local.put("source", b"x", content_type=PNG)
    with meddling(folder):
        await asyncio.gather(*(cycle(number) for number in range(4)))
    assert [name for name in tree(folder) if "#" in name] == []
    await local.sweep_staged()
    assert tree(folder) == ["source"]


@pytest.mark.parametrize("number", [2, 17])
async def test_second_try_has_its_directories_held(number: int, folder: Path) -> None:
    folder.mkdir(parents=True)
    tries = 0

    async def put() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise GenericError(f"Generic error: Unable to create dir /x: words (os error {number})\n\nmore")
        for directory in ("results/job/sub", "results/job", "results"):
            with pytest.raises(OSError, match="not empty"):
                (folder / directory).rmdir()
        (folder / KEY).write_bytes(b"x")

    await in_its_directory(LocalFolder(folder), KEY, put)
    assert tree(folder) == ["results", "results/job", "results/job/sub", KEY]


async def test_put_that_fails_or_is_cancelled_with_its_directories_held_leaves_none(
    folder: Path,
) -> None:
    folder.mkdir(parents=True)
    begun = asyncio.Event()
    tries = 0

    async def put() -> None:
        nonlocal tries
        tries += 1
        if tries % 2:
            raise GenericError("Unable to create dir /x: words (os error 2)")
        if tries == 2:
            raise GenericError("something else")
        begun.set()
        await asyncio.Event().wait()

    with pytest.raises(GenericError, match="something else"):
        await in_its_directory(LocalFolder(folder), KEY, put)
    assert tree(folder) == []
    task = asyncio.ensure_future(in_its_directory(LocalFolder(folder), KEY, put))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tree(folder) == []


async def test_held_directories_are_listed_by_nobody_and_swept_when_old(
    local: ObjectStorage, folder: Path
) -> None:
    tries = 0

    async def put() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise GenericError("Unable to create dir /x: words (os error 2)")
        assert len([name for name in tree(folder) if "#" in name]) == 3
        assert [found.key async for found in local.list()] == []
        assert await local.delete_prefix("results/job") == 0
        assert await local.sweep_staged(older_than_s=3600) == 0
        assert len([name for name in tree(folder) if "#" in name]) == 3
        assert await local.sweep_staged(older_than_s=0) == 3

    await in_its_directory(LocalFolder(folder), KEY, put)
    assert tree(folder) == []


async def test_file_in_the_place_of_a_directory_is_no_lost_race(local: ObjectStorage, folder: Path) -> None:
    await local.put("results/job", b"x", content_type=PNG)
    with pytest.raises(StorageError):
        await local.put(KEY, b"x", content_type=PNG)

    async def put() -> None:
        raise GenericError("Unable to create dir /x: words (os error 17)")

    with pytest.raises(NotADirectoryError):
        await in_its_directory(LocalFolder(folder), KEY, put)
    assert tree(folder) == ["results", "results/job"]
