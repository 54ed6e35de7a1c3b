"""FAL's own Python client works against the emulator without a change to its code."""

import fal_client
import httpx
import pytest

from tests.support.emulator import TRIPO, RunningEmulator
from tests.support.sketches import picture


async def test_upload_submit_follow_and_result(
    client: fal_client.AsyncClient, emulator: RunningEmulator
) -> None:
    url = await client.upload(picture(1), "image/png", "chair.png")
    handle = await client.submit(TRIPO, {"image_url": url}, priority="low")
    events = [event async for event in handle.iter_events(interval=0.01, with_logs=True)]
    result = await handle.get()
    model = await emulator.http.get(result["model_mesh"]["url"])

    assert isinstance(events[-1], fal_client.Completed)
    assert result["task_id"] == handle.request_id
    assert model.content[:4] == b"glTF"
    assert len(model.content) == result["model_mesh"]["file_size"]


async def test_status_of_a_rebuilt_handle(client: fal_client.AsyncClient, emulator: RunningEmulator) -> None:
    await emulator.settings(latency="30s", concurrency=1)
    handles = [await client.submit(TRIPO, {"image_url": "data:,"}) for _ in range(3)]
    states = [await client.status(TRIPO, handle.request_id) for handle in handles]

    assert isinstance(states[0], fal_client.InProgress)
    assert states[1:] == [fal_client.Queued(position=0), fal_client.Queued(position=1)]


async def test_cancelled_request_has_result_499(
    client: fal_client.AsyncClient, emulator: RunningEmulator
) -> None:
    await emulator.settings(latency=30)
    handle = await client.submit(TRIPO, {"image_url": "data:,"})
    await handle.cancel()
    with pytest.raises(fal_client.FalClientHTTPError) as failure:
        await handle.get()

    assert failure.value.status_code == 499
    assert (await emulator.ledger())["submissions"][0]["outcome"] == "cancelled"


async def test_large_upload_in_parts(
    client: fal_client.AsyncClient, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fal_client.client, "MULTIPART_THRESHOLD", 1000)
    monkeypatch.setattr(fal_client.client, "MULTIPART_CHUNK_SIZE", 1024)
    data = bytes(range(256)) * 20
    url = await client.upload(data, "image/png", "large.png")

    assert (await emulator.http.get(url)).content == data


async def test_upload_by_the_fallback_repository(
    client: fal_client.AsyncClient, emulator: RunningEmulator
) -> None:
    url = await client.upload(b"some bytes", "image/png", "a.png", repository="fal")
    fetched = await emulator.http.get(url)

    assert fetched.content == b"some bytes"
    assert fetched.headers["content-type"] == "image/png"


async def test_a_key_is_needed(emulator: RunningEmulator) -> None:
    async with httpx.AsyncClient() as anonymous:
        reply = await anonymous.post(f"{emulator.url}/{TRIPO}", json={})

    assert reply.status_code == 401
    assert "x-fal-request-id" in reply.headers
