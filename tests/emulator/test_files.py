"""Stored files: ranges, HEAD, names, and a memory that stays within its budget."""

import pytest

from fal_emulator.config import Config
from fal_emulator.disk import Disk
from fal_emulator.files import Files, StoredFile
from tests.support.emulator import RunningEmulator, running_emulator
from tests.support.sketches import picture


def _file(size: int) -> StoredFile:
    return StoredFile("image/png", "a.png", data=bytes(size))


def test_used_files_go_first_and_the_budget_is_kept() -> None:
    files = Files(Disk(), budget=100, ttl=3600)
    for name in ("fresh", "used", "later"):
        files.put(name, _file(40))
        if name == "used":
            files.mark_used(name)

    assert files.get("used") is None
    assert files.get("fresh")
    files.put("newest", _file(90))
    assert files.get("fresh") is files.get("later") is None
    assert files.get("newest")


def test_used_files_expire() -> None:
    files = Files(Disk(), budget=100, ttl=0)
    files.put("used", _file(1))
    files.mark_used("used")
    files.put("other", _file(1))

    assert files.get("used") is None


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=2-99", 206, b"23456789"),
        ("bytes=50-", 200, b"0123456789"),
        ("bytes=1-2,4-5", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
async def test_ranges(emulator: RunningEmulator, asked: str, status: int, content: bytes) -> None:
    url = await emulator.upload(b"0123456789")
    reply = await emulator.http.get(url, headers={"Range": asked})

    assert (reply.status_code, reply.content) == (status, content)


async def test_head_and_missing_file(emulator: RunningEmulator) -> None:
    url = await emulator.upload(b"0123456789")
    head = await emulator.http.head(url)

    assert (head.status_code, head.headers["content-length"], head.content) == (200, "10", b"")
    assert (await emulator.http.get(f"{emulator.url}/files/none/a.png")).status_code == 404


@pytest.mark.parametrize("name", ["../../etc/passwd", "a b%20c?d#e.png", "ü.png", "..", ""])
async def test_any_name_can_be_fetched_again(emulator: RunningEmulator, name: str) -> None:
    url = await emulator.upload(b"bytes", name)

    assert (await emulator.http.get(url)).content == b"bytes"


async def test_broken_initiate_is_422(emulator: RunningEmulator) -> None:
    reply = await emulator.http.post("/storage/upload/initiate", content=b"{")

    assert reply.status_code == 422


async def test_uploads_need_a_key_or_token(emulator: RunningEmulator) -> None:
    anonymous = {"authorization": ""}
    routes = ["/files/upload", "/files/upload/multipart", "/storage/upload/initiate", "/storage/auth/token"]
    routes.append("/storage/upload/initiate-multipart")

    assert {(await emulator.http.post(route, headers=anonymous)).status_code for route in routes} == {401}


async def test_what_nobody_knows_any_more_leaves_the_disk() -> None:
    async with running_emulator(Config(latency=0.01, result_ttl=0, memory=1)) as emulator:
        for _ in range(3):
            await emulator.result({"image_url": await emulator.upload(picture())})
        disk = emulator.state.disk
        assert disk.row("SELECT count(*) FROM ended") == (3,)
        assert len((await emulator.ledger())["submissions"]) == 3
        for generation in emulator.state.ledger.generations:
            assert emulator.state.expired(generation)
        await emulator.http.delete("/_emulator/ledger")
        emulator.state.sweep()

        assert disk.row("SELECT count(*) FROM ended") == (0,)
        assert disk.row("SELECT count(*) FROM file") == (0,), "the budget is one byte"
