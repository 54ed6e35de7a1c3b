"""A row of the bench whose load stopped, or did nothing, is no result."""

import argparse
import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench import guard, sse, status
from tests.bench.guard import NothingMeasured
from tests.bench.world import world


async def test_a_worker_that_ended_is_no_quiet_worker() -> None:
    with pytest.raises(NothingMeasured, match="ended by itself"):
        await asyncio.wait_for(_work_of_a_killed_worker(), 100)


async def _work_of_a_killed_worker() -> None:
    async with world() as all_of_it:
        worker = await all_of_it.worker()
        worker.send(signal.SIGKILL)
        await worker.exit_code()
        await all_of_it.finish(await all_of_it.enqueue(1))


def test_streams_without_their_events_are_no_fast_streams() -> None:
    listener = sse.Listener("/x")
    sse.Listener.lags_us.clear()
    sse.Listener.lags_us += [1000] * 40
    with pytest.raises(NothingMeasured, match="raw: events delivered: 40 of 100"):
        sse.report("raw", [listener], [], 0, 0, 100)
    options = argparse.Namespace(rate=20.0, seconds=5.0, subscribers=10, jobs=2)
    assert sse._due(options) == 500


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 429 no\r\nContent-Length: 0\r\n\r\n", AssertionError),
        (b"HTTP/1.1 304 no\r\n\r\n", AssertionError),
        (b"", asyncio.IncompleteReadError),
    ],
    ids=["refused", "another answer", "closed"],
)
async def test_requests_that_are_refused_or_cut_off_have_no_rate(
    answer: bytes, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "SECONDS", 0.2)
    async with await asyncio.start_server(_answering(answer), "127.0.0.1", 0) as server:
        with pytest.raises(error):
            await status.rate(server.sockets[0].getsockname()[1], b"GET / HTTP/1.1\r\n\r\n")


def _answering(answer: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
    def answered(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    return answered


def test_bytes_that_were_not_stored_are_no_upload(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"x" * 50)
    with pytest.raises(NothingMeasured, match="bytes: 50 of 100"):
        guard.enough("bytes", guard.stored_bytes(tmp_path), 100)
    with pytest.raises(NothingMeasured):
        guard.enough("nothing wanted", 0, 0)
