"""`image2model watch`: makes models of all pictures in a folder, and of those that appear there.

A picture is sent only once it is complete: its size and time have not changed for a moment, and its structure
is that of a complete picture. The ledger is that of `submit`, so that nothing is sent twice.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from watchfiles import awatch
from watchfiles._rust_notify import WatchfilesRustInternalError

from image2model.cli.connection import client, json_option, raise_first_error, service_options
from image2model.cli.options import metadata_option, model_option, parallel_option, shared_options
from image2model.cli.submit.board import Board
from image2model.cli.submit.collect import Found, absolute, below, found_at, is_picture
from image2model.cli.submit.item import printable
from image2model.cli.submit.ledger import Ledger
from image2model.cli.submit.options import SharedOptions
from image2model.cli.submit.outputs import OutputFolder
from image2model.cli.submit.plan import prepare
from image2model.cli.submit.save import Follower, Saver
from image2model.cli.submit.send import CostLimit, Sender
from image2model.cli.submit.session import BatchRunner, choose_board, lock_output, once_each
from image2model.client import AsyncClient, ClientError
from image2model.domain import Metadata
from image2model.errors import FileProblem
from image2model.media.inspect import inspect
from image2model.settings import load
from image2model.shielded import in_thread

STILL_SECONDS: Final = 1.0
GIVEN_UP_SECONDS: Final = 30.0
_MAX_BYTES: Final = 1 << 30
_CHECK_SECONDS: Final = 0.25
_LISTEN_MS: Final = 1000
_RETRY_SECONDS = 30.0
_PATIENCE_SECONDS = 86_400.0


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of the command."""

    folder: Path
    out: Path
    model: str | None
    params: dict[str, object] | None
    face_limit: int | None
    metadata: Metadata
    at_once: int
    max_pixels: int
    as_json: bool
    max_cost: float | None = None


@click.command(short_help="Make models of all pictures that appear in a folder.")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@model_option
@shared_options
@metadata_option("Your own data on the jobs, which `jobs --metadata` finds; may be repeated.")
@parallel_option
@service_options
@json_option
def command(url: str | None, key: str | None, as_json: bool, **given: Any) -> int:
    """Make models of all pictures in DIR, and of those that appear there, until it is interrupted.

    A picture is sent once it is complete and has not changed for a second. After a restart nothing is sent a
    second time: the command shares the ledger in --out with `submit`. To run failed pictures again, use
    `image2model submit DIR --retry-failed` with the same --out.
    """
    request = Request(**given, max_pixels=load(None).max_pixels, as_json=as_json)
    try:
        asyncio.run(run(request, client(url, key, patience=_PATIENCE_SECONDS)))
    except KeyboardInterrupt:
        click.echo(
            "Stopped watching. The jobs continue at the service; the same command picks them up.", err=True
        )
        return 130
    return 0


async def run(request: Request, client: AsyncClient) -> None:
    """Run until cancelled. Raises ClientError where waiting cannot help, FolderInUse, OSError."""
    folder = OutputFolder(request.out)
    await in_thread(folder.state.mkdir, parents=True, exist_ok=True)
    lock = lock_output(folder)
    try:
        await in_thread(folder.prepare)
        with Ledger(folder.ledger) as ledger:
            await _run(request, client, ledger)
    finally:
        lock.release()


async def _run(request: Request, client: AsyncClient, ledger: Ledger) -> None:
    options = SharedOptions.of(client.url, request.model, request.params, request.face_limit)
    board = choose_board(as_json=request.as_json)
    client.on_trouble(once_each(lambda reason: board.note(f"{reason.rstrip('.')}; trying again")))
    board.note(f"watching {request.folder}; models go to {request.out}")
    async with client:
        batches = WatchBatches(
            client,
            ledger,
            options,
            request.out,
            board,
            at_once=request.at_once,
            max_cost=request.max_cost,
            metadata=request.metadata,
        )
        watcher = Watcher(request.folder, request.out, max_pixels=request.max_pixels)
        try:
            with raise_first_error():
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_watch(watcher, batches, board))
                    await batches.failed
        finally:
            await batches.stop()
            board.close()


async def _watch(watcher: "Watcher", batches: "WatchBatches", board: Board) -> None:
    async for found, given_up in watcher.pictures():
        for path, problem in given_up:
            board.note(f"skipped {printable(path)}: {problem}")
        if found:
            batches.send(found)


class Watcher:
    """Watches `folder` and everything below it, except `leave_out`, the output folder."""

    def __init__(self, folder: Path, leave_out: Path, *, max_pixels: int) -> None:
        self.folder = folder
        self._leave_out = leave_out
        self._completeness = CompletenessCheck(max_pixels=max_pixels)
        self._pending: dict[Path, tuple[Path, str]] = {}

    async def pictures(self) -> AsyncIterator[tuple[list[Found], list[tuple[Path, str]]]]:
        """Yield without end: complete pictures, and files that were given up, with the reason."""
        listening = asyncio.create_task(self._listen())
        try:
            self._pending |= await in_thread(self._files)
            while True:
                found, given_up = await in_thread(self._check)
                if found or given_up:
                    yield found, given_up
                if listening.done():
                    listening.result()
                await asyncio.sleep(_CHECK_SECONDS)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                await self._collect_changes()
            except* WatchfilesRustInternalError as trouble:
                if "decode path" not in str(trouble.exceptions[0]):
                    raise
            # A name that is not UTF-8 ends the notifications and is not reported. So check everything again;
            # the ledger knows what was sent.
            self._pending |= await in_thread(self._files)

    async def _collect_changes(self) -> None:
        async for changes in awatch(self.folder, watch_filter=None, debounce=200, rust_timeout=_LISTEN_MS):
            touched = {absolute(Path(name)) for _, name in changes}
            for path, named in (await in_thread(self._files)).items():
                # a folder that was moved in is reported by its own name alone
                if path in touched or not touched.isdisjoint(path.parents):
                    self._pending[path] = named

    def _files(self) -> dict[Path, tuple[Path, str]]:
        """Each file as `below` gives it, by its absolute path."""
        files = below(self.folder, absolute(self._leave_out))
        return {absolute(path): (path, default_stem) for path, default_stem in files}

    def _check(self) -> tuple[list[Found], list[tuple[Path, str]]]:
        found: list[Found] = []
        given_up: list[tuple[Path, str]] = []
        for path, (given, default_stem) in list(self._pending.items()):
            complete = self._completeness.check(path)
            if complete:
                found.append(found_at(given, default_stem))
            elif complete is None and (problem := self._completeness.problem(path)):
                given_up.append((given, problem))
            if complete is not False:
                self._pending.pop(path, None)
        return found, given_up


class WatchBatches:
    """Sends pictures as they appear, in batches that run side by side.

    `failed` has the exception of a batch that ended unexpectedly. Belongs to one event loop.
    """

    def __init__(
        self,
        client: AsyncClient,
        ledger: Ledger,
        options: SharedOptions,
        out: Path,
        board: Board,
        *,
        at_once: int,
        metadata: Metadata | None = None,
        max_cost: float | None = None,
    ) -> None:
        self._max_cost = max_cost
        self._client = client
        self._ledger = ledger
        self._options = options
        self._out = out
        self._board = board
        self._at_once = at_once
        self._metadata = metadata or {}
        self._follower = Follower(client, Saver(client, ledger, out), board)
        self._running: set[str] = set()
        self._waiting: list[Found] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._planning = asyncio.Lock()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, pictures: Sequence[Found]) -> None:
        """Start with these pictures; returns at once."""
        if self._stopped:
            return
        free = [picture for picture in pictures if picture.sha256 not in self._running]
        self._waiting += [picture for picture in pictures if picture.sha256 in self._running]
        if free:
            self._running |= {picture.sha256 for picture in free}
            task = asyncio.create_task(self._process(free))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Leave the jobs to the service; a later run picks them up. Nothing uses the ledger afterwards."""
        self._stopped = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self.failed.done():
            self.failed.set_exception(error)

    async def _process(self, pictures: Sequence[Found]) -> None:
        left = pictures
        try:
            while left:
                try:
                    return await self._run_once(left)
                except (ClientError, OSError, sqlite3.Error) as error:
                    self._board.note(f"{error}; trying again in {_RETRY_SECONDS:.0f} s")
                await asyncio.sleep(_RETRY_SECONDS)
                left = await in_thread(_still_there, left)
        finally:
            self._running -= {picture.sha256 for picture in pictures}
            waiting, self._waiting = self._waiting, []
            self.send(waiting)

    async def _run_once(self, pictures: Sequence[Found]) -> None:
        async with self._planning:
            plan = await in_thread(prepare, pictures, self._ledger, [self._options], self._out)
        self._board.begin(plan.items)
        limit = CostLimit(self._max_cost, len(plan.fresh))
        sender = Sender(self._client, self._ledger, plan.items, limit, self._metadata)
        runner = BatchRunner(
            self._client, self._ledger, sender, self._follower, self._board,
            at_once=self._at_once, retry_failed=False,
        )  # fmt: skip
        await runner.run(plan)


def _still_there(pictures: Sequence[Found]) -> list[Found]:
    return [picture for picture in pictures if picture.path.exists()]


class _Seen(msgspec.Struct):
    size: int
    modified_ns: int
    since: float
    problem: str | None = None


class CompletenessCheck:
    """Decides when a new file is complete. Methods block."""

    def __init__(self, *, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._seen: dict[Path, _Seen] = {}

    def check(self, path: Path) -> bool | None:
        """True: complete. False: check again soon. None: it is gone, not a picture, or broken.

        A broken file is checked anew once it changes.
        """
        try:
            found = path.stat()
            if found.st_size > _MAX_BYTES:
                return None
            return self._judge(path, found.st_size, found.st_mtime_ns)
        except OSError:
            self._seen.pop(path, None)
            return None

    def problem(self, path: Path) -> str | None:
        """Why a file was given up; returned once."""
        seen = self._seen.pop(path, None)
        return seen.problem if seen else None

    def _judge(self, path: Path, size: int, modified_ns: int) -> bool | None:
        now = time.monotonic()
        seen = self._seen.get(path)
        if seen is None or (seen.size, seen.modified_ns) != (size, modified_ns):
            self._seen[path] = _Seen(size, modified_ns, now)
            return False
        if now - seen.since < STILL_SECONDS:
            return False
        if self._is_complete(path, seen):
            del self._seen[path]
            return True
        return None if now - seen.since > GIVEN_UP_SECONDS or not is_picture(path) else False

    def _is_complete(self, path: Path, seen: _Seen) -> bool:
        if seen.problem is not None:
            return False
        try:
            inspect(path.read_bytes(), max_pixels=self._max_pixels)
        except FileProblem as problem:
            seen.problem = problem.detail
            return False
        return True
