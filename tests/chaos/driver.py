"""One run of the chaos suite, from an empty store to the verdict.

Who calls it: the command line and the suite's own tests. See issues 4 and 12 for what it must show.
"""

import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp.connector import AddrInfoType
from redis.asyncio import Redis

from image2model.queue import fleet
from image2model.queue.reconciliation import unfinished_jobs
from image2model.store.connection import connect
from image2model.store.keys import Queue
from tests.chaos.busy import BusyLoops
from tests.chaos.draws import draws
from tests.chaos.history import history_of
from tests.chaos.listener import Listener, Manner
from tests.chaos.streams import streams
from tests.chaos.strike import Strikes
from tests.chaos.supervision import Supervisor
from tests.chaos.uploads import Uploads
from tests.chaos.verdict import Seen, Verdict, judge
from tests.chaos.world import SEND_TIMEOUT_S, Size, World, world_in

_GAP_S = 0.25
_LAST_WORD_S = 60.0
_EVENTS_OF_AN_IMAGE = 8
_BYTES_OF_AN_EVENT = 1100
_SLOWLY = 0.65
"""What the slow client reads of what is sent meanwhile: the rest it reads afterwards, out of the history."""

Hook = Callable[["Run"], Awaitable[None]]


class Run:
    """The clients and the faults of one run."""

    def __init__(self, world: World, http: aiohttp.ClientSession, slow: aiohttp.ClientSession) -> None:
        self.world = world
        self.supervisor = Supervisor()
        self.strikes = Strikes(world, http, self.supervisor)
        self.uploads = Uploads(http, world.bases, world.size.images, world.size.seed)
        self.slowly = Manner(
            itertools.cycle(world.bases), bytes_per_s=_speed(world.size), nap_s=SEND_TIMEOUT_S + 2
        )
        stays = Manner(itertools.repeat(world.bases[0]))
        moves = Manner(itertools.cycle(reversed(world.bases)), leaves_after_s=4.0)
        self.owners = [
            Listener(http, "events", stays, name="the client that stays"),
            Listener(http, "events", moves, name="the client that moves"),
            Listener(slow, "events", self.slowly, name="the client that reads slowly"),
        ]
        self.jobs: dict[str, Listener] = {}
        self.busy: BusyLoops | None = None
        self._short: list[str] = []
        self._http = http

    def faults(self) -> list[str]:
        """What was wrong with the run itself: it proves nothing then."""
        return [*self.supervisor.faults, *self.strikes.faults(), *self._short]

    def listen(self, job_id: str) -> None:
        """A client for this job, from now on."""
        bases = itertools.islice(itertools.cycle(self.world.bases), len(self.jobs), None)
        listener = Listener(self._http, f"status/stream/{job_id}", Manner(bases))
        self.jobs[job_id] = listener
        self.supervisor.finite(_client_of(job_id), listener.run())

    async def begin(self) -> None:
        """Watch the parts, and let the owner's clients listen."""
        if self.world.size.busy:
            self.busy = BusyLoops(self.world.size.busy, self.world.size.longest)
            self.supervisor.lasting("the busy loops", self.busy.watch())
        for name, watch in self.world.watches():
            self.supervisor.lasting(name, watch)
        for owner in self.owners:
            self.supervisor.lasting(owner.name, owner.run())
        async with asyncio.timeout(60):
            while any(owner.begun_at is None for owner in self.owners):
                await asyncio.sleep(0.02)

    async def chaos(self) -> None:
        """Upload and listen while things go wrong, until there was enough of it."""
        size = self.world.size
        upload = self.uploads.run(size.duration * 0.75, self.listen)
        uploading = self.supervisor.finite("the uploader", upload)
        begun = time.monotonic()
        for number, draw in enumerate(draws(size.seed, without=size.without)):
            spent = time.monotonic() - begun
            enough = self.strikes.kills >= size.kills and uploading.done()
            if spent > size.duration * size.patience or (spent > size.duration and enough):
                break
            await self.strikes.strike(draw)
            await asyncio.sleep(_GAP_S)
            if number % 240 == 239:
                print(f"  {number + 1} draws, {self.strikes.kills} kills", flush=True)  # noqa: T201
        if self.strikes.kills < size.kills:
            self._short.append(f"only {self.strikes.kills} of {size.kills} kills could be carried out")
        await self.strikes.settle()
        await asyncio.wait({uploading}, timeout=size.drain)
        if not uploading.done():
            self._short.append("the uploader was not done when all faults were over")

    async def drain(self, redis: Redis) -> float:
        """Wait for the end of every image; returns the seconds, the bound where it was not reached."""
        started = time.monotonic()
        self.slowly.bytes_per_s, self.slowly.nap_s = 1e9, 0.0  # it has been slow for long enough
        await self.world.until_ready()
        while time.monotonic() - started < self.world.size.drain:
            state = await fleet.read(redis)
            idle = next(q.waiting for q in state.queues if q.queue == Queue.GENERATION) == 0
            if idle and not await unfinished_jobs(redis):
                return time.monotonic() - started
            await asyncio.sleep(0.2)
        left = await unfinished_jobs(redis)
        self._short.append(f"{len(left)} jobs had not ended {self.world.size.drain:g} s after the last fault")
        return time.monotonic() - started

    async def last_words(self, redis: Redis) -> Seen:
        """Let every client hear the end; those whose job was reopened ask once more."""
        deadline = time.monotonic() + _LAST_WORD_S
        waiting = {self.supervisor.tasks[_client_of(job_id)]: job_id for job_id in self.jobs}
        if waiting:
            await asyncio.wait(waiting, timeout=_LAST_WORD_S)
        again = [
            self.supervisor.finite(f"{task.get_name()}, once more", self.jobs[job_id].run())
            for task, job_id in waiting.items()
            if task.done()
        ]
        if again:
            await asyncio.wait(again, timeout=_LAST_WORD_S)
        self._short += [f"{task.get_name()} still waits for its end" for task in waiting if not task.done()]
        while True:
            # read anew: a late webhook may open a job again
            truth = {job_id: await history_of(redis, job_id) for job_id in self.uploads.accepted}
            missed, told = streams([*self.jobs.values(), *self.owners], truth)
            if not told or time.monotonic() > deadline:
                return Seen(truth, missed, told)
            await asyncio.sleep(1)

    async def end(self) -> None:
        """Nothing of it goes on."""
        await self.supervisor.end()
        if self.busy is not None:
            self.busy.end()


def small_socket(info: AddrInfoType) -> socket.socket:
    """One whose receive buffer is small: what its reader leaves stays with the sender."""
    made = socket.socket(family=info[0], type=info[1], proto=info[2])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    return made


def _client_of(job_id: str) -> str:
    return f"the client of job {job_id}"


def _speed(size: Size) -> float:
    return size.images * _EVENTS_OF_AN_IMAGE * _BYTES_OF_AN_EVENT / size.duration * _SLOWLY


@asynccontextmanager
async def running(folder: Path, size: Size) -> AsyncIterator[Run]:
    """A world with its clients; at the end of the block nothing is left running."""
    plain = aiohttp.TCPConnector(limit=0, force_close=True)
    small = aiohttp.TCPConnector(limit=0, force_close=True, socket_factory=small_socket)
    async with (
        world_in(folder, size) as world,
        aiohttp.ClientSession(connector=plain) as http,
        aiohttp.ClientSession(connector=small) as slow,
    ):
        this = Run(world, http, slow)
        try:
            await this.begin()
            yield this
        finally:
            await this.end()


async def run(folder: Path, size: Size, *, beside: Hook | None = None) -> Verdict:
    """Do it all. The verdict says what did not hold. `beside`: what a test does meanwhile."""
    started = time.monotonic()
    async with running(folder, size) as this:
        await asyncio.gather(beside(this) if beside else asyncio.sleep(0), this.chaos())
        return await verdict_of(this, started)


async def verdict_of(this: Run, started: float) -> Verdict:
    """Wait for the end of all that was begun, and judge."""
    chaos_s = time.monotonic() - started
    async with connect(this.world.store.url) as redis:
        drain_s = await this.drain(redis)
        told = await this.last_words(redis)
        return await judge(this, redis, told, {"chaos": chaos_s, "drain": drain_s})
