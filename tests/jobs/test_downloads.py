"""Files of a job: listed, redirected to, and served by a signed address."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from image2model.jobs.files import sign
from image2model.storage.objects import ObjectReader
from image2model.store.keys import key
from tests.support.multipart_body import Body
from tests.support.served_api import PNG, Service, batch
from tests.support.worker_steps import MODEL, claim, fail, succeed


async def succeeded(service: Service, redis: Redis, source_url: str | None = None) -> str:
    """The download address of a job of one image that has succeeded."""
    job_id = service.upload(Body().file("Ünsere 'Vase'.png", PNG)).text("job_id")
    [one] = await claim(redis)
    await succeed(redis, one, job_id, service.files.as_uri(), source_url)
    return f"/api/v1/download/{job_id}/{one.task_id}"


async def test_model_is_listed_and_downloaded(service: Service, redis: Redis) -> None:
    url = await succeeded(service, redis)
    [entry] = service.get(url.rpartition("/")[0]).items("images")
    assert entry["status"] == "succeeded"
    assert entry["files"] == [{"kind": "model", "format": "glb", "size": len(MODEL), "url": url}]
    redirect = service.get(url)
    assert (redirect.status, redirect.content) == (307, b"")
    answer = service.get(redirect.headers["location"])
    assert (answer.status, answer.content) == (200, MODEL)
    assert answer.headers["content-type"] == "model/gltf-binary"
    assert answer.headers["content-length"] == str(len(MODEL))
    named = answer.headers["content-disposition"]
    assert (
        named == "attachment; filename=\"_nsere 'Vase'.glb\"; filename*=UTF-8''%C3%9Cnsere%20%27Vase%27.glb"
    )


async def test_part_of_a_file(service: Service, redis: Redis) -> None:
    url = service.get(await succeeded(service, redis)).headers["location"]
    whole = service.get(url)
    for wanted, start, end in (("0-3", 0, 4), ("100-", 100, len(MODEL)), ("-5", len(MODEL) - 5, len(MODEL))):
        part = service.get(url, range=f"bytes={wanted}")
        assert (part.status, part.content) == (206, MODEL[start:end])
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(MODEL)}"
    assert service.get(url, range=f"bytes={len(MODEL)}-").status == 416
    assert service.get(url, range="bytes=0-1,4-5").content == MODEL
    assert service.get(url, range=f"bytes={'9' * 5000}-").status == 416
    assert service.get(url, range=f"bytes={'0' * 5000}4-{'9' * 5000}").content == MODEL[4:]
    assert service.get(url, range="bytes=0-3", if_range='"another"').content == MODEL
    assert service.get(url, if_none_match=whole.headers["etag"]).status == 304
    head = service.send("HEAD", url)
    assert (head.status, head.content, head.headers["content-length"]) == (200, b"", str(len(MODEL)))


async def test_what_is_not_there_says_why(service: Service, redis: Redis) -> None:
    job = service.upload(batch(2))
    waiting = f"download/{job.text('job_id')}/{job.items('images')[1]['image_id']}"
    assert service.get(waiting).code == "not_ready"
    assert service.get(f"{waiting}?file=original").status == 307
    [one] = await claim(redis)
    await fail(redis, one)
    failed = service.get(f"download/{job.text('job_id')}/{one.task_id}")
    assert (failed.status, failed.code) == (409, "not_ready")
    assert "FAL gave up" in failed.text("detail")


async def test_kind_that_a_result_lacks_is_not_found(service: Service, redis: Redis) -> None:
    answer = service.get(f"{await succeeded(service, redis)}?file=preview")
    assert (answer.status, answer.code) == (404, "not_found")
    assert "original" in answer.text("detail")


async def test_redirect_goes_to_fal_only(service: Service, redis: Redis) -> None:
    allowed = "https://v3.fal.media/files/a/model.glb"
    answer = service.get(await succeeded(service, redis, allowed))
    assert (answer.status, answer.headers["location"]) == (307, allowed)
    for other in ("https://evil.example/model.glb", "https://evil.example\\.fal.media/model.glb"):
        answer = service.get(await succeeded(service, redis, other))
        assert (answer.status, answer.code) == (404, "not_found")


async def test_redirect_is_a_url_whatever_fal_calls_its_file(service: Service, redis: Redis) -> None:
    named = "https://v3.fal.media/files/a/\u6a21 1\r\nX-Injected: 1.glb"
    answer = service.get(await succeeded(service, redis, named))
    assert answer.status == 307
    assert answer.headers["location"] == "https://v3.fal.media/files/a/%E6%A8%A1%201%0D%0AX-Injected:%201.glb"
    assert "x-injected" not in answer.headers


async def test_token_that_is_not_ours_opens_nothing(service: Service, redis: Redis) -> None:
    stored = service.stored() or ["originals/a/b.png"]
    for token in ("x", "a" * 5000, sign(b"guess", stored[0], "a", "b", int(time.time()) + 99)):
        answer = service.get(f"files/{token}")
        assert (answer.status, answer.code) == (404, "not_found")
    secret = await redis.get(key("signing_secret"))
    old = service.get(f"files/{sign(secret, stored[0], 'a', 'image/png', int(time.time()) - 1)}")
    assert (old.status, old.code) == (410, "expired")
    missing = service.get(f"files/{sign(secret, 'originals/a/b.png', 'a', 'b', int(time.time()) + 9)}")
    assert missing.status == 404


@pytest.mark.parametrize("file", ["model", "original"])
async def test_files_of_a_job_have_one_address_for_a_while(service: Service, redis: Redis, file: str) -> None:
    url = f"{await succeeded(service, redis)}?file={file}"
    assert service.get(url).headers["location"] == service.get(url).headers["location"]


async def test_file_is_read_no_further_once_its_client_has_left(
    service: Service, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    (service.files / "results").mkdir(parents=True, exist_ok=True)
    (service.files / "results/large.glb").write_bytes(bytes(64 << 20))
    read = 0
    whole = ObjectReader.chunks

    async def counted(reader: ObjectReader, size: int) -> AsyncIterator[bytes]:
        nonlocal read
        async for piece in whole(reader, size):
            read += len(piece)
            yield piece
            await asyncio.sleep(0.001)

    monkeypatch.setattr(ObjectReader, "chunks", counted)
    secret = await redis.get(key("signing_secret"))
    token = sign(secret, "results/large.glb", "a.glb", "model/gltf-binary", int(time.time()) + 99)
    with service.address.connect() as raw:
        raw.sendall(f"GET /api/v1/files/{token} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert raw.recv(12) == b"HTTP/1.1 200"
    before = -1
    while before < read:
        before = read
        await asyncio.sleep(0.3)
    assert 0 < read < 48 << 20
