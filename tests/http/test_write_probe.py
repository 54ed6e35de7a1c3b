"""The write that is tried for whoever asks: one answers all who wait."""

import asyncio
import socket
import time

import pytest

from image2model.errors import StoreUnavailable
from image2model.http import write_probe
from image2model.http.write_probe import WriteProbe
from image2model.store.connection import connect


async def test_uploads_at_a_store_that_hangs_share_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each asked anew behind all others, and the readiness check behind them: for minutes."""
    monkeypatch.setattr(write_probe, "_DEADLINE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with connect(f"redis://127.0.0.1:{silent.getsockname()[1]}/0") as redis:
            probe = WriteProbe(redis)
            began = time.monotonic()
            answers = await asyncio.gather(
                *(probe.require_writable() for _ in range(20)), return_exceptions=True
            )
            took = time.monotonic() - began
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    assert took < 8  # one after the other would take 10 s
