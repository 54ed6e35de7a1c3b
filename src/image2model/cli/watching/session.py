"""One `watch` from its arguments until it is interrupted. Who calls it: the command."""

from pathlib import Path

import msgspec

from image2model.cli.submit.board import Board
from image2model.cli.submit.ledger import Ledger, Wish
from image2model.cli.submit.names import legible
from image2model.cli.submit.saving import Places
from image2model.cli.submit.session import board_of, lock_of, once_each
from image2model.cli.watching.watcher import Watcher
from image2model.cli.watching.waves import Waves
from image2model.client import AsyncClient
from image2model.threads import in_thread


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of the command."""

    folder: Path
    out: Path
    model: str | None
    params: dict[str, object] | None
    face_limit: int | None
    at_once: int
    max_pixels: int
    as_json: bool


async def run(request: Request, client: AsyncClient) -> None:
    """Until cancelled. Raises ClientError that no patience helps, FolderInUse, OSError."""
    places = Places(request.out)
    await in_thread(places.folder.mkdir, parents=True, exist_ok=True)
    lock = lock_of(places)
    try:
        await in_thread(places.prepare)
        with Ledger(places.ledger) as ledger:
            await _run(request, client, ledger)
    finally:
        lock.release()


async def _run(request: Request, client: AsyncClient, ledger: Ledger) -> None:
    wish = Wish.of(client.url, request.model, request.params, request.face_limit)
    board = board_of(as_json=request.as_json)
    client.hear_trouble(once_each(lambda reason: board.note(f"{reason.rstrip('.')}; trying again")))
    board.note(f"watching {request.folder}; models go to {request.out}")
    async with client:
        waves = Waves(client, ledger, wish, request.out, board, at_once=request.at_once)
        try:
            await _watch(Watcher(request.folder, request.out, max_pixels=request.max_pixels), waves, board)
        finally:
            await waves.stop()
            board.close()


async def _watch(watcher: Watcher, waves: Waves, board: Board) -> None:
    async for found, given_up in watcher.pictures():
        for path, problem in given_up:
            board.note(f"left out {legible(path)}: {problem}")
        if found:
            waves.send(found)
