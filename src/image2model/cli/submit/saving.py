"""Saves the model of a succeeded image at every place that its picture has.

Who calls it: the flow, as soon as the service says `succeeded`.
"""

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from image2model.cli.submit.collect import LEDGER_FOLDER
from image2model.cli.submit.copying import copy_model
from image2model.cli.submit.item import Item, Outcome
from image2model.cli.submit.ledger import Ledger, Wish
from image2model.client import AsyncClient
from image2model.client.documents import Image
from image2model.threads import in_thread

_AT_ONCE: Final = 8


class Saver:
    """Bounded downloads into `out`; unfinished files lie in the ledger's folder."""

    def __init__(self, client: AsyncClient, ledger: Ledger, wish: Wish, out: Path) -> None:
        self._client = client
        self._ledger = ledger
        self._wish = wish
        self._out = out
        self._parts = out / LEDGER_FOLDER / "parts"
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def save(self, item: Item, job_id: str, image: Image) -> None:
        """Download once, copy for further places, and write each down. Raises ClientError, OSError."""
        model = image.result.model if image.result else None
        suffix = model.format if model else "glb"
        first, *more = [f"{stem}.{suffix}" for stem in item.stems]
        async with self._slots:
            size = await self._client.download(
                job_id,
                image.image_id,
                self._out / first,
                size=model.size if model else None,
                part_dir=self._parts,
            )
            for name in more:
                await in_thread(copy_model, self._out, first, name)
            await in_thread(self._write_down, item, [first, *more], size)
        item.files = [first, *more]
        item.outcome = Outcome.SAVED

    def _write_down(self, item: Item, files: list[str], size: int) -> None:
        for stem, file in zip(item.stems, files, strict=True):
            self._ledger.save(stem, item.sha256, self._wish, file, size)


class Places(msgspec.Struct, frozen=True):
    """Where a run keeps its things below the output folder."""

    out: Path

    @property
    def folder(self) -> Path:
        """The ledger's folder."""
        return self.out / LEDGER_FOLDER

    @property
    def ledger(self) -> Path:
        """The ledger itself."""
        return self.folder / "ledger.db"

    def prepare(self) -> None:
        """Make the folders, and clear away what an interrupted run left of its downloads."""
        parts = self.folder / "parts"
        parts.mkdir(parents=True, exist_ok=True)
        for part in parts.iterdir():
            part.unlink()
