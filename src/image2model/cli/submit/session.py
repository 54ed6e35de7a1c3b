"""Carries every batch of a run from its upload to its saved models, several at once.

Who calls it: `submit`. What it shows and decides comes from the jobs' event streams. It must never send a
failed picture again by itself: that costs, so it goes through the job's retry, and only when asked.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from image2model.cli.connection import first_error
from image2model.cli.submit.board import Board, JsonBoard, PlainBoard
from image2model.cli.submit.collect import Collected, collect
from image2model.cli.submit.item import Item, Outcome
from image2model.cli.submit.ledger import Ledger, SharedOptions
from image2model.cli.submit.plan import Batch, Plan, batches, halves, prepare
from image2model.cli.submit.save import Follower, Places, Saver
from image2model.cli.submit.send import Sender, TooMuch
from image2model.client import ApiError, AsyncClient
from image2model.domain import ImageStatus
from image2model.shielded import in_thread
from image2model.up.errors import FolderInUse
from image2model.up.lock import FolderLock


class Flow:
    """One run; `at_once` bounds the jobs in flight, `retry_failed` runs failures of earlier runs again."""

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
        """Until every item has its outcome. Raises the first error that stops the whole run."""
        again = await self._carry_all([*plan.known, *batches(plan.fresh)])
        if again:
            await self._carry_all(batches(again))

    async def _carry_all(self, these: Sequence[Batch]) -> list[Item]:
        with first_error():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._carry(batch)) for batch in these]
        return [item for task in tasks for item in task.result()]

    async def _carry(self, batch: Batch) -> list[Item]:
        """The items that are to be sent in a new batch, because an earlier job is of no use any more."""
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
        except TooMuch:
            for half in halves(batch.items):
                await self._send(half)
            return
        if job_id is not None:
            await self._follower.follow(job_id, batch.items)
        self._settle(batch.items)

    async def _send_again(self, batch: Batch) -> list[Item]:
        self._board.note(f"asking for the answer to an upload of {len(batch.items)} that an earlier run lost")
        job_id = await self._sender.send_again(batch)
        if job_id is None:
            return [item for item in batch.items if item.outcome is Outcome.PENDING]
        return await self._resume(batch, job_id)

    async def _resume(self, batch: Batch, job_id: str) -> list[Item]:
        try:
            if self._retry_failed:
                await self._retry(batch, job_id)
            await self._follower.follow(job_id, batch.items)
        except ApiError as error:
            if not error.is_gone:
                raise
            await in_thread(self._ledger.drop, batch.key)
            return list(batch.items)
        again = [item for item in batch.items if self._is_worth_sending(item)]
        for item in again:
            item.outcome, item.image = Outcome.PENDING, None
            await in_thread(self._ledger.drop_picture, batch.key, item.sha256)
        self._settle([item for item in batch.items if item not in again])
        return again

    def _is_worth_sending(self, item: Item) -> bool:
        """What an earlier run's job will never give, and has not been paid for without a result."""
        if item.outcome in {Outcome.SAVED, Outcome.KEPT}:
            return False
        if item.image is None:  # rejected at the door
            return self._retry_failed
        return item.image.status == ImageStatus.CANCELLED or item.code == "expired"

    async def _retry(self, batch: Batch, job_id: str) -> None:
        items = {item.sha256: item for item in batch.items}
        job = await self._client.job(job_id)
        failed = [
            image for image in job.images if image.sha256 in items and image.status == ImageStatus.FAILED
        ]
        if failed:
            for image in failed:
                items[image.sha256].run_again(image.cost_usd)
            self._board.note(f"job {job_id}: running {len(failed)} failed again, each a new paid attempt")
            await self._client.retry(job_id, image_ids=[image.image_id for image in failed])

    def _settle(self, items: Sequence[Item]) -> None:
        for item in items:
            if item.outcome is Outcome.PENDING:
                item.fail("unknown", "the service did not report this picture")
            if item.outcome is Outcome.FAILED:
                self._board.ended(item)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of the command."""

    paths: Sequence[Path]
    out: Path
    model: str | None
    params: dict[str, object] | None
    face_limit: int | None
    retry_failed: bool
    at_once: int
    as_json: bool


async def run(request: Request, client: AsyncClient) -> list[Item]:
    """Every picture with its outcome. Raises click.UsageError, ClientError, FolderInUse, OSError."""
    collected = await in_thread(collect, request.paths, leave_out=request.out)
    places = Places(request.out)
    await in_thread(places.folder.mkdir, parents=True, exist_ok=True)
    lock = lock_of(places)
    try:
        await in_thread(places.prepare)
        with Ledger(places.ledger) as ledger:
            return await _run(request, client, collected, ledger)
    finally:
        lock.release()


async def _run(request: Request, client: AsyncClient, collected: Collected, ledger: Ledger) -> list[Item]:
    options = SharedOptions.of(client.url, request.model, request.params, request.face_limit)
    plan = await in_thread(prepare, collected.pictures, ledger, options, request.out)
    board = board_of(as_json=request.as_json)
    board.begin(plan.items)
    board.left_out(collected.skipped)
    client.on_trouble(once_each(lambda reason: board.note(f"{reason.rstrip('.')}; trying again")))
    try:
        async with client:
            saver = Saver(client, ledger, options, request.out)
            flow = Flow(
                client,
                ledger,
                Sender(client, ledger, options, plan.items),
                Follower(client, saver, board),
                board,
                at_once=request.at_once,
                retry_failed=request.retry_failed,
            )
            await flow.run(plan)
    finally:
        board.close()
    return plan.items


def once_each(say: Callable[[str], None]) -> Callable[[str], None]:
    """Says each text once: many batches meet the same trouble, again and again."""
    said: set[str] = set()

    def hear(text: str) -> None:
        if text not in said:
            said.add(text)
            say(text)

    return hear


def lock_of(places: Places) -> FolderLock:
    """Held while a run is at work on its output folder. Raises FolderInUse."""
    lock = FolderLock(places.folder / "lock")
    try:
        lock.acquire()
    except FolderInUse:
        raise FolderInUse(
            f"another submit is at work on {places.out}; wait for it, or use another --out"
        ) from None
    return lock


def board_of(*, as_json: bool) -> Board:
    """The board that suits standard output."""
    if as_json:
        return JsonBoard()
    if not sys.stdout.isatty() or os.environ.get("TERM") in {"dumb", "unknown"}:
        return PlainBoard()
    from rich.console import Console

    from image2model.cli.submit.board_live import LiveBoard

    return LiveBoard(Console())
