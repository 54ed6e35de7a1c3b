"""A durable store that crashes and restarts on the same folder.

Who calls it: chaos, and tests of what outlives the store. It is the server of `image2model up`: every commit
is on disk before its reply.
"""

import asyncio
import os
import signal
import time
from pathlib import Path

from image2model.up.errors import StartError
from image2model.up.store import EmbeddedStore


class CrashingStore:
    """One server after the other, never two."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedStore(folder, durable=True)
        self._busy = asyncio.Lock()
        self.outages: list[tuple[float, float]] = []
        """When it was away, by the wall clock."""

    @property
    def url(self) -> str:
        """For `I2M_REDIS_URL`; the same after each restart."""
        return self._server.url

    @property
    def is_up(self) -> bool:
        """Whether it is neither ending nor starting."""
        return not self._busy.locked()

    async def start(self) -> None:
        """Start it, and wait until its data are loaded."""
        self._server.spawn(patience=5)
        async with asyncio.timeout(60):
            while not self._server.is_ready():
                await asyncio.sleep(0.01)

    async def restart(self, number: signal.Signals, away: float) -> None:
        """End it by this signal, leave it away for so many seconds, start it again."""
        async with self._busy:
            if (pid := self._server.pid) is None:
                raise StartError("the store ended by itself")
            begun = time.time()
            os.kill(pid, number)
            while self._server.pid is not None:
                await asyncio.sleep(0.01)
            await asyncio.sleep(away)
            await self.start()
            self.outages.append((begun, time.time()))

    @property
    def pid(self) -> int | None:
        """Of the server that runs just now."""
        return self._server.pid

    async def watch(self) -> None:
        """Until cancelled. Raises RuntimeError where the server ended without our doing."""
        while True:
            if self.is_up and self._server.pid is None:
                raise RuntimeError("the store's server ended by itself")
            await asyncio.sleep(0.2)

    def stop(self) -> None:
        """For good."""
        self._server.stop()
