"""The suite's own parts: clients that must go on, runs that crash, loops that end, a table of all runs."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from tests.chaos import report
from tests.chaos.busy import BusyLoops
from tests.chaos.listener import Listener, Manner
from tests.chaos.supervision import Supervisor
from tests.support.servers import serving
from tests.support.wait import wait_until

IMAGE = '{"image":{"image_id":"i","status":"%s","attempt":1,"queue_position":null}}'


def frame(number: int, event: str, data: str) -> str:
    return f"id: {number}\nevent: {event}\ndata: {data}\n\n"


class Stream:
    """An `/events` whose first connection ends, in good order, right behind a `complete`."""

    def __init__(self) -> None:
        self.app = Starlette(routes=[Route("/api/v1/events", self.events)])
        self.asked: list[str | None] = []

    async def events(self, request: Request) -> StreamingResponse:
        self.asked.append(request.headers.get("last-event-id"))
        return StreamingResponse(self._frames(len(self.asked)), media_type="text/event-stream")

    async def _frames(self, connection: int) -> AsyncIterator[str]:
        if connection == 1:
            yield frame(0, "snapshot", '{"jobs":[]}')
            yield frame(1, "image", IMAGE % "succeeded")
            yield frame(2, "complete", '{"job_id":"j"}')
        elif connection == 2:
            yield frame(3, "image", IMAGE % "failed")


async def test_a_client_of_all_jobs_goes_on_when_its_connection_ends_behind_a_complete() -> None:
    stream = Stream()
    with serving(stream.app) as address:
        async with aiohttp.ClientSession() as http:
            listener = Listener(http, "events", Manner(iter([address.url] * 3)), name="the client")
            supervisor = Supervisor()
            supervisor.lasting("the client", listener.run())
            async with asyncio.timeout(30):
                while len(listener.heard["i"]) < 2:
                    await asyncio.sleep(0.01)
            assert stream.asked[:2] == [None, "2"]
            assert supervisor.faults == listener.faults == []
            await supervisor.end()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("returns", "the client stopped although the run went on: it returned 1"),
        ("raises", "the client stopped although the run went on: ValueError('x')"),
        ("is cancelled", "the client stopped although the run went on: it was cancelled"),
    ],
)
async def test_whatever_must_last_and_ends_is_named(how: str, words: str) -> None:
    async def work() -> int:
        if how == "raises":
            raise ValueError("x")
        if how == "is cancelled":
            raise asyncio.CancelledError
        return 1

    supervisor = Supervisor()
    task = supervisor.lasting("the client", work())
    await asyncio.wait({task})
    await asyncio.sleep(0)
    assert supervisor.faults == [words]


async def test_what_may_end_is_named_only_where_it_raises() -> None:
    async def fail() -> None:
        raise ValueError("x")

    supervisor = Supervisor()
    good, bad = supervisor.finite("good", asyncio.sleep(0)), supervisor.finite("bad", fail())
    supervisor.lasting("goes on", asyncio.sleep(3600))
    await asyncio.wait({good, bad})
    await supervisor.end()
    assert supervisor.faults == ["bad did not come to its end: ValueError('x')"]


async def test_a_busy_loop_that_ends_is_noticed_and_ends_by_itself_after_its_time() -> None:
    loops = BusyLoops(1, 0.2)
    try:
        with pytest.raises(RuntimeError, match="busy loop"):
            await asyncio.wait_for(loops.watch(), 60)
        assert loops.processes[0].returncode == 0
    finally:
        loops.end()


def program(seed: int, said: Path) -> list[str]:
    """A run that ends as its seed says: 0 all is well, 1 it broke, 2 raised, 3 killed, 4 it said nothing."""
    numbers = {"accepted": 5, "workers that ended by themselves": ["worker-1 SIGSEGV"] if seed else []}
    row = report.Row(seed=seed, seconds=0, exit=seed, numbers=numbers, broken=["it broke"] if seed else [])
    write = f"open({str(said)!r}, 'wb').write({msgspec.json.encode(row)!r})" if seed < 2 else ""
    end = {2: "raise ValueError", 3: "import os; os.kill(os.getpid(), 9)", 4: ""}.get(seed, f"exit({seed})")
    return [sys.executable, "-c", f"{write}\n{end}"]


def test_every_run_that_was_started_is_a_row(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = report.run_all([0, 1, 2, 3, 4], program, tmp_path)
    assert [(row.seed, row.exit) for row in rows] == [(0, 0), (1, 1), (2, 1), (3, -9), (4, 1)]
    table = report.table(rows)
    assert "| 1 | 5 | - | - | - | - | - | - | - | worker-1 SIGSEGV |" in table
    assert "BROKEN (seed 1): it broke" in table
    assert "BROKEN (seed 2): the run crashed: exit code 1" in table
    assert "BROKEN (seed 3): the run crashed: SIGKILL" in table
    assert "BROKEN (seed 4): the run left no verdict" in table
    assert capfd.readouterr().out.count("| --- |") >= 4


def test_a_run_that_is_interrupted_is_a_row_and_no_other_begins(tmp_path: Path) -> None:
    parent = (
        "import signal, sys; from pathlib import Path; from tests.chaos import report\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "wait = [sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(600)']\n"
        "print(report.table(report.run_all([7, 8], lambda *_: wait, Path(sys.argv[1]))))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert "BROKEN (seed 7): the run was interrupted" in said
    assert "| 8 |" not in said


def test_loops_end_with_the_process_that_started_them() -> None:
    parent = (
        "from tests.chaos.busy import BusyLoops; import time\n"
        "print(BusyLoops(1, 600).processes[0].pid, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    loop = int(process.stdout.readline())
    process.kill()
    process.communicate(timeout=60)
    wait_until(_gone(loop), timeout=30)


def _gone(pid: int) -> Callable[[], bool]:
    def gone() -> bool:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        return state == "Z"

    return gone


def test_times_of_rows_are_measured_outside(tmp_path: Path) -> None:
    begun = time.monotonic()
    (row,) = report.run_all([0], program, tmp_path)
    assert 0 < row.seconds <= time.monotonic() - begun
