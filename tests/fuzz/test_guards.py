"""The long runs notice a target that died, and a run that exercised nothing."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.fuzz import over_http
from tests.fuzz.over_http import Attack, Finding
from tests.support.fleet import Fleet
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


@pytest.mark.long
async def test_an_api_that_dies_under_attack_is_noticed(fleet: Fleet) -> None:
    port = free_port()
    api = await fleet.start_api(port)
    attack = Attack(api, port, 60)
    attacking = asyncio.create_task(asyncio.to_thread(attack.run))
    async with asyncio.timeout(60):
        while not attack.statuses:
            await asyncio.sleep(0.01)
    api.send(signal.SIGKILL)
    with pytest.raises((OSError, Finding, ExceptionGroup)):
        await attacking


@pytest.mark.long
@pytest.mark.parametrize(
    ("answer", "words", "seconds"),
    [(b"HTTP/1.1 415 no\r\n\r\n", "nothing was exercised", 1), (b"", "no answer to", 60)],
    ids=["everything refused", "no answer"],
)
async def test_a_service_that_refuses_everything_or_says_nothing_is_noticed(
    fleet: Fleet, answer: bytes, words: str, seconds: float
) -> None:
    api = fleet.start_worker()  # any process: its memory is looked at
    async with await asyncio.start_server(_answering(answer), "127.0.0.1", 0) as server:
        attack = Attack(api, server.sockets[0].getsockname()[1], seconds)
        with pytest.raises(Finding, match=words):
            await asyncio.to_thread(attack.run)


def _answering(answer: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while b"\r\n\r\n" not in await reader.read(65536) and not reader.at_eof():
                pass
            writer.write(answer)
            writer.write_eof()
            while await reader.read(65536):  # a body that is cut off would cost the client its answer
                pass
        except ConnectionError:
            return
        finally:
            writer.close()

    return answered


def test_bodies_that_end_too_early_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    attack = Attack.__new__(Attack)
    attack.statuses = {}
    monkeypatch.setattr(over_http, "given", lambda *_: lambda _: lambda: None)
    monkeypatch.setattr(over_http, "settings", lambda **_: lambda test: test)
    with pytest.raises(Finding, match="the bodies ended after 0"):
        attack.run()


@pytest.mark.parametrize(
    ("good", "ends_early", "code", "words"),
    [
        ("len(data) % 2 == 0", False, 0, "no finding"),
        ("False", False, 3, "nothing was exercised"),
        ("True", False, 3, "nothing was exercised"),
        ("len(data) % 2 == 0", True, 3, "before the time did"),
    ],
    ids=["a proof", "nothing good", "nothing refused", "inputs end"],
)
def test_a_long_run_tells_a_proof_from_none(good: str, ends_early: bool, code: int, words: str) -> None:
    program = (
        "from tests.fuzz.long_run import Watched\n"
        f"watched = Watched(lambda data: {good}, {3600 if ends_early else 0.05})\n"
        f"inputs = range({10 if ends_early else 10**8})\n"
        "for number in inputs: watched(b'x' * (number % 3))\n"
        "watched.ended_early()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert (ran.returncode, words in ran.stdout) == (code, True), ran.stdout + ran.stderr
