"""One run: brings every batch from its upload to its saved models, several at once.

It must never send a failed picture again by itself: that costs, so it goes through the job's retry, and only
when requested.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from image2model.cli.connection import raise_first_error
from image2model.cli.submit.board import Board, JsonBoard, PlainBoard
from image2model.cli.submit.collect import Collected
from image2model.cli.submit.item import Item, Outcome, content_of
from image2model.cli.submit.ledger import Ledger
from image2model.cli.submit.manifest import attach, read_manifest
from image2model.cli.submit.objects import collect_with_objects
from image2model.cli.submit.options import Making, SharedOptions
from image2model.cli.submit.outputs import OutputFolder
from image2model.cli.submit.plan import Batch, Plan, batches, halves, new_batch, prepare, whole_objects
from image2model.cli.submit.save import Follower, Saver
from image2model.cli.submit.send import BatchTooLarge, CostLimit, RestOfBatch, Sender
from image2model.client import ApiError, AsyncClient
from image2model.domain import ImageStatus, Metadata
from image2model.shielded import in_thread
from image2model.up.errors import FolderInUse
from image2model.up.lock import FolderLock


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of the command."""

    paths: Sequence[Path]
    views: Path | None
    out: Path
    models: Sequence[str]
    params: dict[str, object] | None
    face_limit: int | None
    making: Making
    metadata: Metadata
    manifest: Path | None
    retry_failed: bool
    at_once: int
    as_json: bool
    max_cost: float | None = None


async def run(request: Request, client: AsyncClient) -> list[Item]:
    """Every picture with its outcome. Raises click.UsageError, ClientError, FolderInUse, OSError."""
    collected = await in_thread(collect_with_objects, request.paths, request.views, leave_out=request.out)
    folder = OutputFolder(request.out)
    await in_thread(folder.state.mkdir, parents=True, exist_ok=True)
    lock = lock_output(folder)
    try:
        await in_thread(folder.prepare)
        with Ledger(folder.ledger) as ledger:
            return await _run(request, client, collected, ledger)
    finally:
        lock.release()


async def _run(request: Request, client: AsyncClient, collected: Collected, ledger: Ledger) -> list[Item]:
    options = SharedOptions.of_each(
        client.url, request.models, request.params, request.face_limit, request.making
    )
    manifest = await in_thread(read_manifest, request.manifest) if request.manifest else {}
    plan = await in_thread(prepare, collected.pictures, ledger, options, request.out)
    left_out = attach(manifest, collected.pictures, plan.items)
    board = choose_board(as_json=request.as_json)
    board.begin(plan.items)
    board.skipped(collected.skipped)
    for note in left_out:
        board.note(note)
    client.on_trouble(once_each(lambda reason: board.note(f"{reason.rstrip('.')}; trying again")))
    try:
        async with client:
            saver = Saver(client, ledger, request.out)
            limit = CostLimit(request.max_cost, len(plan.fresh))
            runner = BatchRunner(
                client,
                ledger,
                Sender(client, ledger, plan.items, limit, request.metadata),
                Follower(client, saver, board),
                board,
                at_once=request.at_once,
                retry_failed=request.retry_failed,
            )
            await runner.run(plan)
    finally:
        board.close()
    return plan.items


class BatchRunner:
    """Runs the batches of a plan. `at_once`: jobs in flight; `retry_failed`: run earlier failures again."""

    def __init__(
        self,
        client: AsyncClient,
        ledger: Ledger,
        sender: Sender,
        follower: Follower,
        board: Board,
        *,
        at_once: int,
        retry_failed: bool,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._sender = sender
        self._follower = follower
        self._board = board
        self._slots = asyncio.Semaphore(at_once)
        self._retry_failed = retry_failed

    async def run(self, plan: Plan) -> None:
        """Run until every item has its outcome. Raises the first error that stops the whole run."""
        again = await self._process_all([*plan.known, *batches(plan.fresh)])
        if again:
            await self._process_all(batches(again))

    async def _process_all(self, these: Sequence[Batch]) -> list[Item]:
        with raise_first_error():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._process(batch)) for batch in these]
        return [item for task in tasks for item in task.result()]

    async def _process(self, batch: Batch) -> list[Item]:
        """Process one batch; return the items to send again, because their earlier job is of no use."""
        async with self._slots:
            for item in batch.items:
                item.begin(own=batch.job_id is None)
            if batch.job_id is not None:
                return await self._resume(batch, batch.job_id)
            if batch.begun is not None:
                return await self._send_again(batch)
            await self._send(batch)
            return []

    async def _send(self, batch: Batch) -> None:
        try:
            job_id = await self._sender.send(batch)
        except BatchTooLarge:
            for half in halves(batch.items):
                await self._send(half)
            return
        except RestOfBatch as rest:
            self._finish([item for item in batch.items if item not in rest.items])
            await self._send(new_batch(rest.items))
            return
        if job_id is not None:
            await self._follower.follow(job_id, batch.items)
        self._finish(batch.items)

    async def _send_again(self, batch: Batch) -> list[Item]:
        self._board.note(
            f"looking for the job of an upload of {len(batch.items)} whose reply an earlier run lost"
        )
        try:
            job_id = await self._sender.send_again(batch)
        except (BatchTooLarge, RestOfBatch):
            job_id = None
        if job_id is not None:
            return await self._resume(batch, job_id)
        again = [item for item in batch.items if item.outcome is Outcome.PENDING]
        self._finish([item for item in batch.items if item not in again])
        return again

    async def _resume(self, batch: Batch, job_id: str) -> list[Item]:
        try:
            if self._retry_failed:
                await self._retry(batch, job_id)
            await self._follower.follow(job_id, batch.items)
        except ApiError as error:
            if not error.is_gone:
                raise
            await in_thread(self._ledger.drop, batch.key)
            again = whole_objects(batch.items)
            self._finish([item for item in batch.items if item not in again])
            return again
        again = whole_objects([item for item in batch.items if self._is_worth_sending(item)])
        for item in again:
            item.outcome, item.image = Outcome.PENDING, None
            await in_thread(self._ledger.drop_picture, batch.key, item.sha256)
        self._finish([item for item in batch.items if item not in again])
        return again

    def _is_worth_sending(self, item: Item) -> bool:
        """Whether the earlier job gives no model, and sending again does not repeat a paid failure."""
        if item.outcome in {Outcome.SAVED, Outcome.KEPT}:
            return False
        if item.image is None:  # rejected at upload
            return self._retry_failed
        return item.image.status == ImageStatus.CANCELLED or item.code == "expired"

    async def _retry(self, batch: Batch, job_id: str) -> None:
        items = {(item.sha256, item.variant): item for item in batch.items}
        job = await self._client.job(job_id)
        failed = [
            image
            for image in job.images
            if (content_of(image) or "", image.variant or 0) in items and image.status == ImageStatus.FAILED
        ]
        if failed:
            for image in failed:
                items[content_of(image) or "", image.variant or 0].run_again(image.cost_usd)
            self._board.note(
                f"job {job_id}: running {len(failed)} failed pictures again; each is a new paid attempt"
            )
            await self._client.retry(job_id, image_ids=[image.image_id for image in failed])

    def _finish(self, items: Sequence[Item]) -> None:
        for item in items:
            if item.outcome is Outcome.PENDING:
                item.fail("unknown", "the service did not report this picture")
            if item.outcome is Outcome.FAILED:
                self._board.ended(item)


def once_each(report: Callable[[str], None]) -> Callable[[str], None]:
    """Reports each text once, because many batches meet the same trouble repeatedly."""
    reported: set[str] = set()

    def report_once(text: str) -> None:
        if text not in reported:
            reported.add(text)
            report(text)

    return report_once


def lock_output(folder: OutputFolder) -> FolderLock:
    """Lock the output folder for a run. Raises FolderInUse."""
    lock = FolderLock(folder.state / "lock")
    try:
        lock.acquire()
    except FolderInUse:
        raise FolderInUse(
            f"another submit is running on {folder.out}; wait for it, or use another --out"
        ) from None
    return lock


def choose_board(*, as_json: bool) -> Board:
    """The board that fits standard output."""
    if as_json:
        return JsonBoard()
    if not sys.stdout.isatty() or os.environ.get("TERM") in {"dumb", "unknown"}:
        return PlainBoard()
    from rich.console import Console

    from image2model.cli.submit.live_board import LiveBoard

    return LiveBoard(Console())
