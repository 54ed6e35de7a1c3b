"""The end of `watch`: nothing that it began uses the ledger afterwards."""

import asyncio
import threading
from pathlib import Path

from image2model.cli.commands.watch import WatchBatches
from image2model.cli.submit.board import PlainBoard
from image2model.cli.submit.collect import Found, found_at
from image2model.cli.submit.ledger import Ledger, SharedOptions
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
