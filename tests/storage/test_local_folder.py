"""A folder holds the objects and nothing else."""

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from image2model.errors import ConfigurationError
from image2model.storage.address import open_storage
from image2model.storage.errors import ObjectMissing, StorageError
from image2model.storage.objects import ObjectStorage

PNG = "image/png"


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


async def test_folder_is_made_and_keys_are_its_paths(local: ObjectStorage, folder: Path) -> None:
    await local.put("results/j1/model.glb", b"x", content_type=PNG)
    assert (folder / "results/j1/model.glb").read_bytes() == b"x"


@pytest.mark.parametrize("name", ["plain", "with space", "50%25 off", "50% off", "a+b", "question?x=1", "#1"])
async def test_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    storage = open_storage((tmp_path / name).as_uri())
    await storage.put("a/b", b"x", content_type=PNG)
    assert (tmp_path / name / "a/b").read_bytes() == b"x"


async def test_plain_path_works_unquoted(tmp_path: Path) -> None:
    await open_storage(f"file://{tmp_path}/my files 100%").put("a/b", b"x", content_type=PNG)
    assert (tmp_path / "my files 100%/a/b").exists()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file://",
        "file:///",
        "file://host/x",
        "data/here",
        "/data",
        "ftp://b",
        "s3://",
        "s3://k:s@b",
        "gs://",
    ],
)
def test_wrong_url_says_what_to_write(url: str) -> None:
    with pytest.raises(ConfigurationError, match="I2M_STORAGE_URL"):
        open_storage(url)


def test_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(ConfigurationError, match="cannot be created"):
        open_storage((tmp_path / "taken").as_uri())


async def test_deletes_leave_no_empty_directory(local: ObjectStorage, folder: Path) -> None:
    names = [f"results/j{n % 3}/i{n}/model.glb" for n in range(60)]
    for name in names:
        await local.put(name, b"x", content_type=PNG)
    await local.delete(names[:30])
    await local.delete(["none/at/all", *names[30:45]])
    for job in range(3):
        await local.delete_prefix(f"results/j{job}")
    assert tree(folder.parent) == [folder.name]


async def test_failed_put_leaves_no_directory(local: ObjectStorage, folder: Path) -> None:
    await local.put("a/file", b"x", content_type=PNG)
    with pytest.raises(StorageError):
        await local.put("a/file/below", b"x", content_type=PNG)

    async def broken() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield bytes(1024 * 1024)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await local.put_stream("new/deep/er/file", broken(), content_type=PNG)
    assert tree(folder) == ["a", "a/file"]


async def test_puts_and_deletes_in_one_directory_do_not_disturb_each_other(
    local: ObjectStorage, folder: Path
) -> None:
    async def cycle(number: int) -> None:
        key = f"results/job/sub/i{number}"
        for turn in range(60):
            await local.put(key, bytes([number]) * 100, content_type=PNG)
            assert await local.get(key) == bytes([number]) * 100
            if turn % 7:
                await local.delete([key])
            else:
                await local.delete_prefix(key)
                await local.delete([key])

    await asyncio.gather(*(cycle(number) for number in range(8)))
    assert tree(folder) == []


async def test_what_a_killed_process_left_is_swept_once_it_is_old(local: ObjectStorage, folder: Path) -> None:
    await local.put("a/b", b"x", content_type=PNG)
    for left in (folder / "a/b#1", folder / "gone/c.png#12"):
        left.parent.mkdir(exist_ok=True)
        left.write_bytes(b"half")
    assert await local.sweep_staged(older_than_s=60) == 0
    for left in (folder / "a/b#1", folder / "gone/c.png#12"):
        os.utime(left, (1, 1))
    assert [found.key async for found in local.list()] == ["a/b"]
    assert await local.sweep_staged(older_than_s=60) == 2
    assert tree(folder) == ["a", "a/b"]


async def test_free_space_is_known(local: ObjectStorage) -> None:
    free = await local.free_bytes()
    assert free is not None
    assert free > 0
    assert await open_storage("memory://").free_bytes() is None


async def test_folder_cannot_presign(local: ObjectStorage) -> None:
    await local.put("a/b", b"x", content_type=PNG)
    assert await local.presign("a/b", 60) is None


async def test_stored_file_is_readable_by_its_owner(local: ObjectStorage, folder: Path) -> None:
    await local.put("a/b", b"x", content_type=PNG)
    assert (folder / "a/b").stat().st_mode & stat.S_IRUSR


async def test_small_write_beside_one_that_was_killed_takes_another_name(
    local: ObjectStorage, folder: Path
) -> None:
    await local.put("a/b", b"old", content_type=PNG)
    (folder / "a/b#1").write_bytes(b"half")
    await local.put("a/b", [b"n", memoryview(b"ew")], content_type=PNG)
    assert await local.get("a/b") == b"new"
    assert tree(folder) == ["a", "a/b", "a/b#1"]


async def test_directory_is_no_object_and_none_takes_its_place(local: ObjectStorage, folder: Path) -> None:
    await local.put("a/b/c", b"", content_type=PNG)
    assert await local.get("a/b/c") == b""
    with pytest.raises(ObjectMissing):
        await local.get("a/b")
    with pytest.raises(StorageError):
        await local.put("a/b", b"x", content_type=PNG)
    assert tree(folder) == ["a", "a/b", "a/b/c"]


FILL_A_SMALL_DISK = """
import asyncio, sys
from pathlib import Path
from image2model.errors import DiskFull
from image2model.storage.address import open_storage

async def main():
    root = Path(sys.argv[1])
    storage = open_storage(root.as_uri())
    await storage.put("keep/me", b"x", content_type="image/png")

    async def endless():
        while True:
            yield bytes(1 << 20)

    for put in (
        lambda: storage.put("full/a/b", bytes(40 << 20), content_type="image/png"),
        lambda: storage.put_stream("full/a/b", endless(), content_type="image/png"),
    ):
        try:
            await put()
        except DiskFull:
            print("full")
    try:
        for number in range(200):
            await storage.put(f"full/{number}/small", bytes(1 << 19), content_type="image/png")
    except DiskFull:
        print("full", [path.name for path in root.rglob("*") if "#" in path.name])
    await storage.delete_prefix("full")
    print(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
    async with asyncio.timeout(60):
        while True:  # a write that was given up still closes its file
            try:
                await storage.put("works/again", bytes(1 << 20), content_type="image/png")
                break
            except DiskFull:
                await asyncio.sleep(0.01)
    print(await storage.free_bytes() < 30 << 20)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mount namespaces are Linux's")
def test_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    # A file system of our own in a mount namespace of our own: gone with the process.
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    mount = ["unshare", *as_root, "--mount", "sh", "-c"]
    script = 'mount -t tmpfs -o size=24m none "$0" && exec "$1" -c "$2" "$0"'
    done = subprocess.run(
        [*mount, script, tmp_path, sys.executable, FILL_A_SMALL_DISK],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["full", "full", "full []", "['keep', 'keep/me']", "True"]
