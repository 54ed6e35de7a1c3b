"""Looks at a folder: what is there, what appears, and which of it is whole.

Who calls it: the command. It never sends a file that is still being written.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from watchfiles import awatch
from watchfiles._rust_notify import WatchfilesRustInternalError

from image2model.cli.submit.collect import Found, absolute, below, found_at
from image2model.cli.watching.wholeness import Wholeness
from image2model.threads import in_thread

_LOOK_SECONDS: Final = 0.25
_LISTEN_MS: Final = 1000


class Watcher:
    """`folder` with everything below it, but for `leave_out`, the output folder."""

    def __init__(self, folder: Path, leave_out: Path, *, max_pixels: int) -> None:
        self.folder = folder
        self._leave_out = leave_out
        self._whole = Wholeness(max_pixels=max_pixels)
        self._looking: dict[Path, tuple[Path, str]] = {}

    async def pictures(self) -> AsyncIterator[tuple[list[Found], list[tuple[Path, str]]]]:
        """Without end: pictures that are whole, and files that were given up with the reason."""
        listening = asyncio.create_task(self._listen())
        try:
            self._looking |= await in_thread(self._files)
            while True:
                found, given_up = await in_thread(self._look)
                if found or given_up:
                    yield found, given_up
                if listening.done():
                    listening.result()
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except* WatchfilesRustInternalError as trouble:
                if "decode path" not in str(trouble.exceptions[0]):
                    raise
            # A name that is not UTF-8 ends the listening and is not told: everything is looked at again,
            # and the ledger knows what was sent.
            self._looking |= await in_thread(self._files)

    async def _hear(self) -> None:
        async for changes in awatch(self.folder, watch_filter=None, debounce=200, rust_timeout=_LISTEN_MS):
            touched = {absolute(Path(name)) for _, name in changes}
            for path, named in (await in_thread(self._files)).items():
                # a folder that was moved in is told of by its own name alone
                if path in touched or not touched.isdisjoint(path.parents):
                    self._looking[path] = named

    def _files(self) -> dict[Path, tuple[Path, str]]:
        """By its absolute path each file as `below` tells it."""
        files = below(self.folder, absolute(self._leave_out))
        return {absolute(path): (path, wanted) for path, wanted in files}

    def _look(self) -> tuple[list[Found], list[tuple[Path, str]]]:
        found: list[Found] = []
        given_up: list[tuple[Path, str]] = []
        for path, (given, wanted) in list(self._looking.items()):
            verdict = self._whole.look(path)
            if verdict:
                found.append(found_at(given, wanted))
            elif verdict is None and (problem := self._whole.problem(path)):
                given_up.append((given, problem))
            if verdict is not False:
                self._looking.pop(path, None)
        return found, given_up
