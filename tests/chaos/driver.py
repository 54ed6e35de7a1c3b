"""One run of the chaos suite, from an empty store to the verdict.

Who calls it: the command line and the suite's own short test. See issue 4 for what it must show.
"""

import asyncio
import time
from pathlib import Path

import aiohttp
from redis.asyncio import Redis

from image2model.store import fleet
from image2model.store.connection import connect
from image2model.store.keys import Queue
from image2model.store.upkeep import unfinished_jobs
from tests.chaos.draws import draws
from tests.chaos.history import outcomes
from tests.chaos.listener import Listener
from tests.chaos.strike import Strikes
from tests.chaos.uploads import Uploads
from tests.chaos.verdict import Verdict, judge
from tests.chaos.world import Size, World, world_in

_GAP_S = 0.25
_OWNER_LISTENERS = 2
_LAST_WORD_S = 45.0


class Run:
    """The clients and the faults of one run."""

    def __init__(self, world: World, http: aiohttp.ClientSession) -> None:
        self.world = world
        self.strikes = Strikes(world, http)
        self.uploads = Uploads(http, world.bases, world.size.images, world.size.seed)
        self.owners = [Listener(http, world.bases, "events", number) for number in range(_OWNER_LISTENERS)]
        self.jobs: dict[str, Listener] = {}
        self._http = http
        self._listening: list[asyncio.Task[None]] = []

    def listen(self, job_id: str) -> None:
        """A client for this job, from now on."""
        listener = Listener(self._http, self.world.bases, f"status/stream/{job_id}", len(self.jobs))
        self.jobs[job_id] = listener
        self._listening.append(asyncio.create_task(listener.run()))

    async def chaos(self) -> None:
        """Upload and listen while things go wrong, until there was enough of it."""
        size = self.world.size
        ears = [asyncio.create_task(owner.run()) for owner in self.owners]
        self._listening += ears
        async with asyncio.timeout(20):
            while not all(owner.connections for owner in self.owners):
                await asyncio.sleep(0.02)
        uploading = asyncio.create_task(self.uploads.run(size.duration * 0.75, self.listen))
        until = time.monotonic() + size.duration
        for number, draw in enumerate(draws(size.seed, without=size.without)):
            if time.monotonic() > until and self.strikes.kills >= size.kills and uploading.done():
                break
            await self.strikes.strike(draw)
            await asyncio.sleep(_GAP_S)
            if number % 240 == 239:
                print(f"  {number + 1} draws, {self.strikes.kills} kills", flush=True)  # noqa: T201
        await self.strikes.settle()
        await uploading

    async def drain(self, redis: Redis) -> float:
        """Wait for the end of every image; returns the seconds, the bound where it was not reached."""
        started = time.monotonic()
        await self.world.until_ready()
        while time.monotonic() - started < self.world.size.drain:
            state = await fleet.read(redis)
            idle = next(q.waiting for q in state.queues if q.queue == Queue.GENERATION) == 0
            if idle and not await unfinished_jobs(redis):
                break
            await asyncio.sleep(0.2)
        return time.monotonic() - started

    async def last_words(self, expected: int) -> None:
        """Let every client hear the end; those whose job was reopened ask once more."""
        deadline = time.monotonic() + _LAST_WORD_S
        listening = self._listening[len(self.owners) :]
        if listening:
            await asyncio.wait(listening, timeout=_LAST_WORD_S)
        again = [asyncio.create_task(listener.run()) for listener in self.jobs.values()]
        if again:
            await asyncio.wait(again, timeout=_LAST_WORD_S)
        while time.monotonic() < deadline and any(o.told.total() < expected for o in self.owners):
            await asyncio.sleep(0.1)
        tasks = [*self._listening, *again]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run(folder: Path, size: Size) -> Verdict:
    """Do it all. The verdict says what did not hold."""
    started = time.monotonic()
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with world_in(folder, size) as world, aiohttp.ClientSession(connector=connector) as http:
        this = Run(world, http)
        await this.chaos()
        chaos_s = time.monotonic() - started
        async with connect(world.store.url) as redis:
            drain_s = await this.drain(redis)
            truth = {job_id: await outcomes(redis, job_id) for job_id in this.uploads.accepted}
            await this.last_words(sum(told.total() for told in truth.values()))
            times = {"chaos": chaos_s, "drain": drain_s}
            return await judge(this, redis, truth, times)
