"""A rolling restart from an earlier revision to this one, under load, one process after the other.

Who calls it: the test, and `python -m tests.takeover` with longer pauses. The order makes old APIs read what
new workers write, and new APIs what old workers write, before the last old process ends.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import aiohttp
import msgspec

from image2model.store import identity
from image2model.store.connection import command
from image2model.store.data_versions import LATEST
from image2model.store.identity import Upgrade
from image2model.store.keys import TAG, key
from tests.support.fleet import Fleet
from tests.support.ports import free_port
from tests.support.service_process import ServiceProcess
from tests.takeover.clients import Clients
from tests.takeover.revision import OLD, sources_of

_HOST = "127.0.0.1"
_LIVE_S = 1.0


class Report(msgspec.Struct, kw_only=True):
    """What was seen. `broken`: one sentence for each promise that was not kept."""

    broken: list[str]
    jobs: int
    images: int
    submissions: int
    events: int
    connections: int
    switched_after_s: float


class Rolling:
    """Two workers and two APIs.

    `old`: the earlier sources, which write data version `before`. `stay_s`: how long each mixture runs.
    """

    def __init__(
        self, fleet: Fleet, http: aiohttp.ClientSession, old: Path, *, before: int, stay_s: float
    ) -> None:
        self._fleet = fleet
        self._before = before
        self._old = {"PYTHONPATH": str(old)}
        self._stay_s = stay_s
        self._ports = [free_port(_HOST), free_port(_HOST)]
        self._apis: list[ServiceProcess] = []
        self._workers: list[ServiceProcess] = []
        self._broken: list[str] = []
        self.clients = Clients(http, [f"http://{_HOST}:{port}" for port in self._ports])

    async def run(self) -> Report:
        """Everything, to the last event."""
        await self._start_old()
        self.clients.start()
        await self._stay("none is new")
        await self._replace_api(0)
        await self._stay("new API, old workers")
        await self._replace_worker(0)
        await self._stay("old and new of both")
        await self._replace_worker(1)
        await self._stay("old API, new workers")
        await self._expect_version(self._before, "an old API was left")
        ended_at = await self._replace_api(1)
        switched_after = await self._switched(ended_at)
        await self._stay("all are new", version=LATEST)
        await self.clients.stop()
        return await self._report(switched_after)

    async def _start_old(self) -> None:
        self._workers = [self._fleet.start_worker(**self._old) for _ in range(2)]
        for port in self._ports:
            self._apis.append(await self._fleet.start_api(port, **self._old))

    async def _replace_api(self, number: int) -> float:
        """The port is taken over. The loop's time when the old one was told to end."""
        told_at = asyncio.get_running_loop().time()
        await self._end(self._apis[number])
        self._apis[number] = await self._fleet.start_api(self._ports[number])
        return told_at

    async def _replace_worker(self, number: int) -> None:
        """The new one is there before the old one goes."""
        new = self._fleet.start_worker()
        async with asyncio.timeout(20):
            while '"worker_ready"' not in new.log.read_text():
                await asyncio.sleep(0.02)
        await self._end(self._workers[number])
        self._workers[number] = new

    async def _end(self, process: ServiceProcess) -> None:
        process.send(signal.SIGTERM)
        code = await process.exit_code()
        if code:
            self._broken.append(f"{process.log.name} ended with {code}")

    async def _stay(self, what: str, version: int | None = None) -> None:
        """So long, and until some more jobs have come to their end meanwhile."""
        before, heard = self._completed(), [len(owner.lags) for owner in self.clients.owners]
        async with asyncio.timeout(self._stay_s + 30):
            await asyncio.sleep(self._stay_s)
            while self._completed() < before + 3:
                await asyncio.sleep(0.05)
        for owner, count in zip(self.clients.owners, heard, strict=True):
            # what no notification brought is found by comparing, once in 5 s
            if (lag := median(owner.lags[count:])) > _LIVE_S:
                self._broken.append(f"{what}, and half of the events came {lag:.1f} s late")
        # 8adfc9c makes no identity, so the store has none before a later process looks
        if any('"store_identified"' in one.log.read_text() for one in [*self._apis, *self._workers]):
            await self._expect_version(version or self._before, what)

    def _completed(self) -> int:
        return min(len(owner.completes) for owner in self.clients.owners)

    async def _upgrade(self) -> Upgrade:
        return await identity.negotiate(self._fleet.redis)

    async def _expect_version(self, version: int, what: str) -> None:
        upgrade = await self._upgrade()
        if upgrade.identity.version != version:
            self._broken.append(f"{what}, and version {upgrade.identity.version} was written")
        quiet = await command(self._fleet.redis, "HGET", key("store"), "quiet_since")
        if version < LATEST and quiet is not None:
            self._broken.append(f"{what}, and nobody of it was seen")

    async def _switched(self, ended_at: float) -> float:
        """Seconds from the last old process's end to the switch."""
        clock = asyncio.get_running_loop().time
        async with asyncio.timeout(identity.READER_TTL_S * 2 + 10):
            while (await self._upgrade()).identity.version < LATEST:
                await asyncio.sleep(0.1)
        after = clock() - ended_at
        if self._before < LATEST and after < identity.READER_TTL_S:
            self._broken.append(f"it switched {after:.1f} s after the last old process was told to end")
        return after

    async def _report(self, switched_after_s: float) -> Report:
        ledger = self._fleet.emulator.submissions()
        images = [image for ids in self.clients.jobs.values() for image in ids]
        bought = [entry["tags"]["i2m.image"] for entry in ledger]
        broken = self._broken + self.clients.problems()
        broken += [
            f"image {one} was submitted {bought.count(one)} times" for one in images if bought.count(one) != 1
        ]
        for job_id in self.clients.jobs:
            job = await self._fleet.job(job_id)
            if job.counts.succeeded != job.job.total:
                broken.append(f"job {job_id} ended as {job.counts}")
        broken += self._log_faults()
        broken += [f"{name} has a tag" async for name in self._fleet.redis.scan_iter(f"{TAG}*", count=1000)]
        followers = [*self.clients.followers, *self.clients.owners]
        return Report(
            broken=broken,
            jobs=len(self.clients.jobs),
            images=len(images),
            submissions=len(bought),
            events=sum(one.events for one in followers),
            connections=sum(one.connections for one in followers),
            switched_after_s=switched_after_s,
        )

    def _log_faults(self) -> list[str]:
        """No process may have met what it does not know."""
        return [
            f"{process.log.name}: {line[:500]}"
            for process in self._fleet.workers
            for line in process.log.read_text().splitlines()
            if '"level": "error"' in line or "Traceback" in line
        ]


@asynccontextmanager
async def rolling_on(
    fleet: Fleet, folder: Path, *, stay_s: float, revision: str = OLD, version: int = 1
) -> AsyncIterator[Rolling]:
    """Ready to run, from a revision that writes this data version."""
    old = await asyncio.to_thread(sources_of, revision, folder / "old")
    async with aiohttp.ClientSession() as http:
        yield Rolling(fleet, http, old, before=version, stay_s=stay_s)
