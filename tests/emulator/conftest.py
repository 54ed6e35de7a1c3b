"""Fixtures of the emulator's tests: one running emulator, and FAL's own Python client pointed at it."""

from collections.abc import AsyncIterator

import fal_client
import fal_client.client
import pytest

from tests.support.emulator import KEY, RunningEmulator, running_emulator


@pytest.fixture
async def emulator() -> AsyncIterator[RunningEmulator]:
    """With a latency of 50 ms."""
    async with running_emulator() as running:
        yield running


@pytest.fixture
async def client(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[fal_client.AsyncClient]:
    """The real fal-client, whose hosts are all the emulator."""
    for name in ("QUEUE_URL_FORMAT", "RUN_URL_FORMAT"):
        monkeypatch.setattr(fal_client.client, name, f"{emulator.url}/")
    for name in ("REST_URL", "CDN_URL"):
        monkeypatch.setattr(fal_client.client, name, emulator.url)
    client = fal_client.AsyncClient(key=KEY)
    yield client
    await (await client._client).aclose()
