"""Saves the model of a succeeded image at every place that its picture has.

Who calls it: the flow, as soon as the service says `succeeded`.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from image2model.cli.connection import first_error
from image2model.cli.submit.board import Board
from image2model.cli.submit.collect import LEDGER_FOLDER
from image2model.cli.submit.item import Item, Outcome
from image2model.cli.submit.ledger import Ledger, SharedOptions
from image2model.cli.submit.places import copy_model
from image2model.client import ApiError, AsyncClient, ClientError, Complete, ImageChanged, Snapshot
from image2model.client.documents import Image, Job
from image2model.domain import ImageStatus
from image2model.shielded import in_thread

_AT_ONCE: Final = 8


class Saver:
    """Bounded downloads into `out`; unfinished files lie in the ledger's folder."""

    def __init__(self, client: AsyncClient, ledger: Ledger, options: SharedOptions, out: Path) -> None:
        self._client = client
        self._ledger = ledger
        self._wish = options
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


class Follower:
    """For all jobs of a run."""

    def __init__(self, client: AsyncClient, saver: Saver, board: Board) -> None:
        self._client = client
        self._saver = saver
        self._board = board

    async def follow(self, job_id: str, items: Sequence[Item]) -> None:
        """Until the job is complete and its models are saved. Raises ApiError (404: gone), Unreachable."""
        following = _Following(job_id, items, self._saver, self._board)
        with first_error():
            async with asyncio.TaskGroup() as saves:
                following.saves = saves
                await self._listen(job_id, following)
        following.finish()

    async def _listen(self, job_id: str, following: "_Following") -> None:
        async for event in self._client.events(job_id, on_connection=self._board.connected):
            match event:
                case Snapshot(jobs=jobs):
                    for job in jobs:
                        following.see_job(job)
                case ImageChanged(image=image, waiting_for=reason):
                    self._board.waiting(job_id, reason)
                    following.see(image)
                case Complete(job=job):
                    self._board.waiting(job_id, None)
                    following.see_job(job)


class _Following:
    """One job being followed."""

    saves: asyncio.TaskGroup

    def __init__(self, job_id: str, items: Sequence[Item], saver: Saver, board: Board) -> None:
        self._job_id = job_id
        self._items = {item.sha256: item for item in items}
        self._saver = saver
        self._board = board
        self._saving: set[str] = set()
        self._job: Job | None = None
        for item in items:
            item.job_id = job_id

    def see_job(self, job: Job) -> None:
        """A whole document."""
        self._job = job
        self._board.waiting(job.job_id, job.waiting_for)
        for image in job.images:
            self.see(image)

    def see(self, image: Image) -> None:
        """One image as it is now."""
        item = self._items.get(image.sha256)
        if item is None:
            return
        item.image = image
        item.cost_usd = image.cost_usd or 0.0
        self._board.changed(item, image)
        if image.status == ImageStatus.SUCCEEDED and image.image_id not in self._saving:
            self._saving.add(image.image_id)
            self.saves.create_task(self._save(item, image))

    def finish(self) -> None:
        """The stream has ended: what has no model has a reason."""
        rejected = {one.file: one for one in self._job.rejected} if self._job else {}
        for item in self._items.values():
            image, refusal = item.image, rejected.get(item.name)
            if image is None and refusal:
                item.fail(refusal.code, refusal.detail)
            elif image and image.status == ImageStatus.FAILED:
                item.fail(
                    image.error.code if image.error else "failed",
                    image.error.message if image.error else "the service gave no reason",
                )
            elif image and image.status == ImageStatus.CANCELLED:
                item.fail("cancelled", "the job was cancelled")

    async def _save(self, item: Item, image: Image) -> None:
        try:
            await self._saver.save(item, self._job_id, image)
        except ApiError as error:
            item.fail("expired" if error.is_gone else error.code, error.detail)
        except (ClientError, OSError) as error:
            item.fail("not_saved", str(error))
        else:
            self._board.ended(item)
