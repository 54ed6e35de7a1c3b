"""Follows the jobs of a run, and saves the model of each succeeded picture at every path that the picture
has.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from image2model.cli.connection import raise_first_error
from image2model.cli.submit.board import Board
from image2model.cli.submit.collect import LEDGER_FOLDER
from image2model.cli.submit.item import Item, Outcome, content_of
from image2model.cli.submit.ledger import Ledger
from image2model.cli.submit.outputs import copy_model
from image2model.client import ApiError, AsyncClient, ClientError, Complete, ImageChanged, Snapshot
from image2model.client.documents import Image, Job
from image2model.domain import ImageStatus
from image2model.shielded import in_thread

_AT_ONCE: Final = 8


class Saver:
    """Downloads into `out`, a few at once; unfinished files lie in the ledger's folder."""

    def __init__(self, client: AsyncClient, ledger: Ledger, out: Path) -> None:
        self._client = client
        self._ledger = ledger
        self._out = out
        self._parts = out / LEDGER_FOLDER / "parts"
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def save(self, item: Item, job_id: str, image: Image) -> None:
        """Download once, copy to further paths, and write each down. Raises ClientError, OSError."""
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
            self._ledger.save(stem, item.sha256, item.options, file, size)


class Follower:
    """Follows all jobs of a run."""

    def __init__(self, client: AsyncClient, saver: Saver, board: Board) -> None:
        self._client = client
        self._saver = saver
        self._board = board

    async def follow(self, job_id: str, items: Sequence[Item]) -> None:
        """Until the job is complete and its models are saved. Raises ApiError (404: gone), Unreachable."""
        following = _Following(job_id, items, self._saver, self._board)
        with raise_first_error():
            async with asyncio.TaskGroup() as saves:
                following.saves = saves
                await self._listen(job_id, following)
        following.finish()

    async def _listen(self, job_id: str, following: "_Following") -> None:
        async for event in self._client.events(job_id, on_connection=self._board.connected):
            match event:
                case Snapshot(jobs=jobs):
                    for job in jobs:
                        following.update_job(job)
                case ImageChanged(image=image, waiting_for=reason):
                    self._board.waiting(job_id, reason)
                    following.update(image)
                case Complete(job=job):
                    self._board.waiting(job_id, None)
                    following.update_job(job)


class _Following:
    """One job being followed."""

    saves: asyncio.TaskGroup

    def __init__(self, job_id: str, items: Sequence[Item], saver: Saver, board: Board) -> None:
        self._job_id = job_id
        self._items = {(item.sha256, item.variant): item for item in items}
        self._saver = saver
        self._board = board
        self._saving: set[str] = set()
        self._job: Job | None = None
        for item in items:
            item.job_id = job_id

    def update_job(self, job: Job) -> None:
        """A whole job document."""
        self._job = job
        self._board.waiting(job.job_id, job.waiting_for)
        for image in job.images:
            self.update(image)

    def update(self, image: Image) -> None:
        """The current state of one image."""
        item = self._items.get((content_of(image) or "", image.variant or 0))
        if item is None:
            return
        item.image = image
        item.cost_usd = image.cost_usd or 0.0
        self._board.changed(item, image)
        if image.status == ImageStatus.SUCCEEDED and image.image_id not in self._saving:
            self._saving.add(image.image_id)
            self.saves.create_task(self._save(item, image))

    def finish(self) -> None:
        """The stream has ended: give every item without a model its reason."""
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
