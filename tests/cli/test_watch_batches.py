"""The batches of `watch`: what fails is tried again or ends it, and nothing uses the ledger afterwards."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from image2model.cli.commands import watch
from image2model.cli.commands.watch import WatchBatches
from image2model.cli.submit.board import PlainBoard
from image2model.cli.submit.collect import Found, found_at
from image2model.cli.submit.ledger import Ledger
from image2model.cli.submit.options import SharedOptions
from image2model.cli.submit.outputs import Claim
from image2model.client import AsyncClient
from tests.support.sketches import picture


class SlowLedger(Ledger):
    """Says when it is asked, and answers when it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked, self.answer = threading.Event(), threading.Event()
        self.times = 0

    def claims(self) -> dict[str, Claim]:
        self.times += 1
        self.asked.set()
        assert self.answer.wait(10)
        return super().claims()


def found(folder: Path, stem: str) -> Found:
    path = folder / f"{stem}.png"
    path.write_bytes(picture(seed=1))
    return found_at(path, stem)


async def test_stop_waits_for_the_ledger_and_begins_nothing_more(tmp_path: Path) -> None:
    first, twin = found(tmp_path, "first"), found(tmp_path, "twin")
    client = AsyncClient("http://127.0.0.1:9")
    options = SharedOptions.of(client.url, None, None, None)
    async with client:
        with SlowLedger(tmp_path / "ledger.db") as ledger:
            waves = WatchBatches(client, ledger, options, tmp_path / "out", PlainBoard(), at_once=2)
            waves.send([first])
            waves.send([twin])  # of the same content: it would be sent when the first one ends
            await asyncio.to_thread(ledger.asked.wait)
            stopping = asyncio.create_task(waves.stop())
            await asyncio.wait({stopping}, timeout=0.05)
            assert not stopping.done()
            ledger.answer.set()
            await stopping
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert not others
            assert ledger.times == 1
            assert set(ledger.claims()) == {"first"}


class FailingLedger(Ledger):
    """Raises `errors` in turn, then keeps a stem for `until`."""

    def __init__(self, path: Path, *errors: Exception) -> None:
        super().__init__(path)
        self.errors = list(errors)
        self.answered = threading.Event()

    def claims(self) -> dict[str, Claim]:
        if self.errors:
            raise self.errors.pop(0)
        self.answered.set()
        return super().claims()


class Notes(PlainBoard):
    """Keeps what is printed beside the batches."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


async def test_full_disk_and_locked_ledger_are_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_RETRY_SECONDS", 0.01)
    errors = OSError("No space left on device"), sqlite3.OperationalError("database is locked")
    client, board = AsyncClient("http://127.0.0.1:9"), Notes()
    async with client:
        with FailingLedger(tmp_path / "ledger.db", *errors) as ledger:
            options = SharedOptions.of(client.url, None, None, None)
            batches = WatchBatches(client, ledger, options, tmp_path / "out", board, at_once=2)
            batches.send([found(tmp_path, "one")])
            assert await asyncio.to_thread(ledger.answered.wait, 10)
            await batches.stop()
    assert [note.partition(";")[0] for note in board.notes[:2]] == [str(error) for error in errors]


async def test_picture_that_is_gone_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_RETRY_SECONDS", 0.01)
    client, board = AsyncClient("http://127.0.0.1:9"), Notes()
    async with client:
        with FailingLedger(tmp_path / "ledger.db", *(OSError("gone") for _ in range(99))) as ledger:
            options = SharedOptions.of(client.url, None, None, None)
            batches = WatchBatches(client, ledger, options, tmp_path / "out", board, at_once=2)
            gone = found(tmp_path, "one")
            gone.path.unlink()
            batches.send([gone])
            (task,) = batches._tasks
            await asyncio.wait_for(task, 60)
            await batches.stop()
    assert len(board.notes) == 1


async def test_error_that_nobody_expected_ends_the_watch(tmp_path: Path) -> None:
    client = AsyncClient("http://127.0.0.1:9")
    async with client:
        with FailingLedger(tmp_path / "ledger.db", ArithmeticError("unheard of")) as ledger:
            options = SharedOptions.of(client.url, None, None, None)
            batches = WatchBatches(client, ledger, options, tmp_path / "out", Notes(), at_once=2)
            batches.send([found(tmp_path, "one")])
            with pytest.raises(ArithmeticError, match="unheard of"):
                await asyncio.wait_for(batches.failed, 60)
            await batches.stop()
