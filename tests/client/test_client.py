"""The client: what it sends, what it repeats, what it never repeats, and what it saves."""

import os
from pathlib import Path

import pytest

from image2model.client import (
    ApiError,
    AsyncClient,
    BadDownload,
    Client,
    Complete,
    Event,
    ImageChanged,
    Picture,
    Snapshot,
    Unreachable,
)
from tests.support.service import Service, model_of, problem

PNG = b"\x89PNG\r\n\x1a\n"


async def _all(client: AsyncClient, job_id: str) -> list[Event]:
    return [event async for event in client.events(job_id)]


async def test_upload_sends_files_and_bytes_with_their_names(
    client: AsyncClient, service: Service, tmp_path: Path
) -> None:
    path = tmp_path / 'a "quoted"\nname ü.png'
    path.write_bytes(PNG * 100_000)
    job = await client.submit([path, Picture.from_bytes("b.png", PNG)], model="m", params={"x": 1})
    assert service.uploads == [['a "quoted"\nname ü.png', "b.png"]]
    assert [image.size for image in job.images] == [800_000, 8]
    assert service.headers[0]["authorization"] == "Bearer a-key"


async def test_events_are_the_same_when_the_stream_is_cut_after_each(
    client: AsyncClient, service: Service
) -> None:
    service.events_per_connection = 1
    job = await client.submit([Picture.from_bytes(name, PNG + name.encode()) for name in ("a", "b")])
    cut = await _all(client, job.job_id)
    assert isinstance(cut[0], Snapshot)
    assert isinstance(cut[-1], Complete)
    assert [event.id for event in cut] == [str(number) for number in range(12)]
    changes = [event for event in cut if isinstance(event, ImageChanged)]
    assert [event.image.status for event in changes if event.image.filename == "a"] == [
        *("preparing", "submitted", "generating", "storing", "succeeded"),
    ]


async def test_events_of_a_finished_job_end(client: AsyncClient) -> None:
    job = await client.submit([Picture.from_bytes("a", PNG)])
    await _all(client, job.job_id)
    first, last = await _all(client, job.job_id)
    assert isinstance(first, Snapshot)
    assert isinstance(last, Complete)
    assert last.job.finished
    known = [event async for event in client.events(job.job_id, last_event_id=last.id)]
    assert known == []


async def test_lost_reply_gives_the_first_job(client: AsyncClient, service: Service) -> None:
    service.lose_replies = 2
    await client.submit([Picture.from_bytes("a", PNG)])
    assert len(service.jobs) == 1


@pytest.mark.parametrize(
    ("status", "code"), [(409, "idempotency_in_progress"), (429, "queue_full"), (503, "store_unavailable")]
)
async def test_service_that_asks_to_come_back_is_asked_again(
    status: int, code: str, client: AsyncClient, service: Service
) -> None:
    service.refuse_with = [problem(status, code, "later", headers={"Retry-After": "0"})] * 2
    await client.submit([Picture.from_bytes("a", PNG)])
    assert len(service.uploads) == 1


async def test_refusal_tells_everything(client: AsyncClient, service: Service) -> None:
    fault = {"file": "a", "code": "not_an_image", "detail": "This is text."}
    service.refuse_with = [problem(422, "not_an_image", "One file.", errors=[fault], request_id="r1")]
    with pytest.raises(ApiError) as caught:
        await client.submit([Picture.from_bytes("a", b"text")])
    error = caught.value
    assert (error.status, error.code, error.detail, error.request_id) == (
        422,
        "not_an_image",
        "One file.",
        "r1",
    )
    assert [(one.file, one.detail) for one in error.errors] == [("a", "This is text.")]
    assert service.uploads == []


async def test_download_is_whole_or_absent(client: AsyncClient, service: Service, tmp_path: Path) -> None:
    job = await client.submit([Picture.from_bytes("a", PNG)])
    await _all(client, job.job_id)
    image = (await client.job(job.job_id)).images[0]
    assert image.result is not None
    assert image.result.model is not None
    service.short_downloads = 1
    size = image.result.model.size
    target = tmp_path / "deep" / "a.glb"
    assert await client.download(job.job_id, image.image_id, target, size=size) == size
    assert target.read_bytes() == model_of(image.image_id)
    async with AsyncClient(service.url, patience=0.01) as hasty:
        with pytest.raises(BadDownload):
            await hasty.download(job.job_id, image.image_id, tmp_path / "b.glb", size=1)
    assert sorted(name for _, _, names in os.walk(tmp_path) for name in names) == ["a.glb"]


async def test_unknown_job_is_an_error_at_once(client: AsyncClient) -> None:
    with pytest.raises(ApiError, match="No such job"):
        await client.job("nothing")
    with pytest.raises(ApiError, match="No such job"):
        await _all(client, "nothing")


async def test_nobody_there_is_unreachable(unused_tcp_port: int) -> None:
    async with AsyncClient(f"http://127.0.0.1:{unused_tcp_port}", patience=0.1) as client:
        with pytest.raises(Unreachable):
            await client.job("x")


def test_sync_client_does_the_same(service: Service, tmp_path: Path) -> None:
    service.failing = {"bad"}
    with Client(service.url) as client:
        job = client.submit([Picture.from_bytes("a", PNG), Picture.from_bytes("bad", PNG + b"2")])
        events = list(client.events(job.job_id))
        assert isinstance(events[-1], Complete)
        done, failed = client.job(job.job_id).images
        assert failed.error is not None
        assert client.download(job.job_id, done.image_id, tmp_path / "a.glb") > 0
        assert client.retry(job.job_id, image_ids=[failed.image_id]).images[1].status == "queued"
        assert [one.job_id for one in client.jobs().jobs] == [job.job_id]
        client.delete(job.job_id)
        with pytest.raises(ApiError):
            client.job(job.job_id)
