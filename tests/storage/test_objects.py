"""What every storage does the same."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from image2model.storage.errors import ObjectMissing
from image2model.storage.objects import ObjectStorage

PNG = "image/png"
MIB = 1024 * 1024


async def pieces(data: bytes, size: int = 300_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def keys(storage: ObjectStorage, prefix: str | None = None) -> list[str]:
    return sorted([found.key async for found in storage.list(prefix)])


async def test_object_comes_back_as_it_was_put(storage: ObjectStorage) -> None:
    await storage.put("a/b.png", b"hello", content_type=PNG, filename='stühl "x".png')
    assert await storage.get("a/b.png") == b"hello"
    await storage.put("a/b.png", b"", content_type=PNG)
    assert await storage.get("a/b.png") == b""
    assert [chunk async for chunk in storage.stream("a/b.png")] == []


@pytest.mark.parametrize(
    "data", [bytearray(b"abcdef"), memoryview(b"abcdef"), [b"abc", bytearray(b"d"), memoryview(b"ef")], []]
)
async def test_any_buffer_or_row_of_buffers_can_be_put(storage: ObjectStorage, data: object) -> None:
    await storage.put("a/b", data, content_type=PNG)  # type: ignore[arg-type]
    assert await storage.get("a/b") == (b"abcdef" if data else b"")


async def test_large_object_is_read_in_pieces_and_by_range(storage: ObjectStorage) -> None:
    data = os.urandom(3 * MIB + 17)
    await storage.put("a/large.bin", data, content_type=PNG)
    chunks = [chunk async for chunk in storage.stream("a/large.bin", MIB)]
    assert b"".join(chunks) == data
    assert all(len(chunk) >= MIB for chunk in chunks[:-1])
    reader = await storage.open("a/large.bin", start=100, end=200)
    assert (reader.start, reader.end, reader.meta.size) == (100, 200, len(data))
    assert await reader.read() == data[100:200]
    tail = await storage.open("a/large.bin", start=len(data) - 5)
    assert b"".join([chunk async for chunk in tail.chunks()]) == data[-5:]


async def test_head_tells_size_time_and_a_changing_etag(storage: ObjectStorage) -> None:
    await storage.put("a/b", b"12345", content_type=PNG)
    first = await storage.head("a/b")
    assert (first.key, first.size) == ("a/b", 5)
    assert abs(datetime.now(UTC) - first.modified) < timedelta(minutes=1)
    await storage.put("a/b", b"123456", content_type=PNG)
    assert (await storage.head("a/b")).etag != first.etag


@pytest.mark.parametrize("size", [0, 10, 8 * MIB, 21 * MIB])
async def test_stream_is_stored_whole(storage: ObjectStorage, size: int) -> None:
    data = os.urandom(size)
    assert await storage.put_stream("a/b.glb", pieces(data), content_type="model/gltf-binary") == size
    assert await storage.get("a/b.glb") == data


async def test_file_is_stored_whole(storage: ObjectStorage, tmp_path: Path) -> None:
    data = os.urandom(9 * MIB)
    (tmp_path / "model").write_bytes(data)
    assert await storage.put_file("a/b.glb", tmp_path / "model", content_type=PNG) == len(data)
    assert await storage.get("a/b.glb") == data


@pytest.mark.parametrize("after", [0, 1, 20 * MIB])
async def test_broken_stream_leaves_nothing_and_keeps_what_was_there(
    storage: ObjectStorage, after: int
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for _ in range(after // MIB + 1):
            yield bytes(min(after, MIB))
        raise ConnectionResetError("the other side went away")

    with pytest.raises(ConnectionResetError):
        await storage.put_stream("a/b", broken(), content_type=PNG)
    assert await keys(storage) == []
    await storage.put("a/b", b"old", content_type=PNG)
    with pytest.raises(ConnectionResetError):
        await storage.put_stream("a/b", broken(), content_type=PNG)
    assert await storage.get("a/b") == b"old"


async def test_cancelled_stream_leaves_nothing(storage: ObjectStorage) -> None:
    stalled = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(MIB)
        stalled.set()
        await asyncio.Event().wait()

    putting = asyncio.create_task(storage.put_stream("a/b", stalling(), content_type=PNG))
    await stalled.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await keys(storage) == []


@pytest.mark.parametrize("size", [1000, 8 * MIB])
async def test_cancelled_put_is_over_when_its_cancellation_is(storage: ObjectStorage, size: int) -> None:
    data = os.urandom(size)
    for step in range(5):
        putting = asyncio.create_task(storage.put("a/b", data, content_type=PNG))
        for _ in range(step):
            await asyncio.sleep(0)
        putting.cancel()
        await asyncio.wait({putting})
        await storage.delete(["a/b"])
        assert await keys(storage) == []


@pytest.mark.parametrize("size", [50_000, 2 * MIB])
async def test_reader_sees_the_old_or_the_new_object_never_a_part(storage: ObjectStorage, size: int) -> None:
    versions = [bytes([n]) * size for n in range(4)]
    await storage.put("a/b", versions[0], content_type=PNG)

    async def write() -> None:
        for number in range(1, 16):
            await storage.put("a/b", versions[number % 4], content_type=PNG)

    writing = asyncio.create_task(write())
    while not writing.done():
        assert await storage.get("a/b") in versions
    await writing


async def test_missing_object_is_missing(storage: ObjectStorage) -> None:
    for read in (storage.get("a/b"), storage.head("a/b"), storage.open("a/b", start=1, end=2)):
        with pytest.raises(ObjectMissing):
            await read
    with pytest.raises(ObjectMissing):
        await anext(aiter(storage.stream("a/b")))
    assert await keys(storage, "nothing/here") == []


async def test_list_and_delete_go_by_whole_segments(storage: ObjectStorage) -> None:
    for key in ("jobs/a/1", "jobs/a/2/x.bin", "jobs/ab/1", "other"):
        await storage.put(key, b"x", content_type=PNG)
    assert await keys(storage, "jobs/a") == await keys(storage, "jobs/a/") == ["jobs/a/1", "jobs/a/2/x.bin"]
    assert await storage.delete_prefix("jobs/a") == 2
    assert await keys(storage) == ["jobs/ab/1", "other"]
    assert await storage.delete_prefix("jobs/a") == 0


async def test_deleting_what_is_not_there_deletes_the_rest(storage: ObjectStorage) -> None:
    present = [f"a/{n}" for n in range(30)]
    for key in present:
        await storage.put(key, b"x", content_type=PNG)
    await storage.delete(["none/1", *present[:15], "none/2", *present[15:], present[0]])
    await storage.delete([])
    assert await keys(storage) == []


@pytest.mark.long
@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "a//b",
        "a/../b",
        "..",
        "a/./b",
        "a/",
        "a b",
        "a#1",
        "a%2e",
        "ü",
        "a\\b",
        "a\n",
        "x" * 201,
    ],
)
async def test_wrong_key_is_refused_by_every_call(storage: ObjectStorage, key: str) -> None:
    with pytest.raises(ValueError, match="not a storage key"):
        await storage.put(key, b"x", content_type=PNG)
    with pytest.raises(ValueError, match="not a storage key"):
        await storage.put_stream(key, pieces(b"x"), content_type=PNG)
    with pytest.raises(ValueError, match="not a storage key"):
        await storage.get(key)
    with pytest.raises(ValueError, match="not a storage key"):
        await storage.head(key)
    with pytest.raises(ValueError, match="not a storage key"):
        await storage.delete(["ok", key])
    with pytest.raises(ValueError, match="not a storage key"):
        await storage.presign(key, 60)
    if key != "a/":
        with pytest.raises(ValueError, match="not a storage key"):
            await storage.delete_prefix(key)
