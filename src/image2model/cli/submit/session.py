"""One `submit` from its arguments to its result.

Who calls it: the command. Nothing is sent before every argument has been checked.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from image2model.cli.submit.board import Board
from image2model.cli.submit.board_lines import JsonBoard, PlainBoard
from image2model.cli.submit.collect import Collected, collect
from image2model.cli.submit.flow import Flow
from image2model.cli.submit.following import Follower
from image2model.cli.submit.item import Item
from image2model.cli.submit.ledger import Ledger, Wish
from image2model.cli.submit.planning import prepare
from image2model.cli.submit.saving import Places, Saver
from image2model.cli.submit.sending import Sender
from image2model.client import AsyncClient
from image2model.threads import in_thread
from image2model.up.errors import FolderInUse
from image2model.up.lock import FolderLock


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
    wish = Wish.of(client.url, request.model, request.params, request.face_limit)
    plan = await in_thread(prepare, collected.pictures, ledger, wish, request.out)
    board = board_of(as_json=request.as_json)
    board.begin(plan.items)
    board.left_out(collected.skipped)
    client.hear_trouble(once_each(lambda reason: board.note(f"{reason.rstrip('.')}; trying again")))
    try:
        async with client:
            saver = Saver(client, ledger, wish, request.out)
            flow = Flow(
                client,
                ledger,
                Sender(client, ledger, wish, plan.items),
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
