"""What only S3 shows: prefixes, multipart uploads that are left open, and failing from afar."""

import asyncio
import os
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import pytest

from image2model.storage.address import open_storage
from image2model.storage.errors import StorageError

GLB = "model/gltf-binary"


async def test_keys_are_below_the_prefix(bucket: str) -> None:
    await open_storage(bucket).put("a/b", b"x", content_type=GLB)
    assert [found.key async for found in open_storage(bucket).list()] == ["a/b"]
    async with asyncio.timeout(60):
        whole = open_storage(f"s3://{urlsplit(bucket).netloc}")
        assert [found.key async for found in whole.list()] == ["pre fix/a/b"]


async def test_aborted_stream_leaves_no_upload_open(bucket: str, s3_endpoint: str) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield os.urandom(1024 * 1024)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await open_storage(bucket).put_stream("a/b", broken(), content_type=GLB)
    url = f"{s3_endpoint}/{urlsplit(bucket).netloc}?uploads"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        assert "<Upload>" not in await answer.text()


@pytest.mark.long
async def test_many_objects_are_listed_and_deleted(bucket: str) -> None:
    storage = open_storage(bucket)
    few = asyncio.Semaphore(50)  # this S3 answers a thousand at once too late on a busy machine

    async def put(number: int) -> None:
        async with few:
            await storage.put(f"a/{number}", b"x", content_type=GLB)

    await asyncio.gather(*map(put, range(1005)))
    assert await storage.delete_prefix("a") == 1005
    assert [found async for found in storage.list()] == []


async def test_silent_storage_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch, bucket: str) -> None:
    released = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()
        del reader

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        storage = open_storage(bucket, deadline_s=0.3)
        for call in (
            storage.put("a/b", b"x", content_type=GLB),
            storage.get("a/b"),
            storage.head("a/b"),
            storage.delete(["a/b"]),
            anext(aiter(storage.list())),
        ):
            with pytest.raises(StorageError, match="did not answer in time"):
                await asyncio.wait_for(call, 60)
        released.set()
