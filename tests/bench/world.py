"""The service as it is deployed: a durable store, the emulator as FAL, processes of our own.

Who calls it: every row that needs a worker or an API. Log level and lease are those of production.
"""

import asyncio
import http.client
import json
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec

from image2model.storage import layout
from image2model.store import jobs
from image2model.up.store import EmbeddedStore
from tests.bench import guard, machine, pictures
from tests.support.fleet import MODEL, Fleet, ServiceProcess, fleet_on
from tests.support.multipart_body import CONTENT_TYPE

MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2), "MALLOC_TRIM_THRESHOLD_": str(128 * 1024**2)}
"""What `up` and the image set."""
_PRODUCTION = {"I2M_LEASE_SECONDS": "15", "I2M_LOG_LEVEL": "info", **MALLOC}
_UNLIMITED = {"I2M_RATE_LIMIT": "100000/min", "I2M_ADDRESS_RATE_LIMIT": "100000/min"}
_MANY = {"I2M_MAX_QUEUED": "1000000"}


@contextmanager
def durable_store() -> Iterator[tuple[EmbeddedStore, Path]]:
    """A store that commits before it answers, and a folder for files beside it."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        store = EmbeddedStore(Path(folder) / "store", durable=True)
        store.start()
        try:
            yield store, Path(folder)
        finally:
            store.stop()


class World(msgspec.Struct, frozen=True):
    """A fleet and what is measured of it."""

    fleet: Fleet
    store_pid: int

    async def worker(self, *, slots: int = 100, permits: int = 100) -> ServiceProcess:
        """One more worker, ready."""
        limits = {"I2M_MAX_CONCURRENT": str(permits), "I2M_WORKER_CONCURRENCY": str(slots)}
        worker = self.fleet.start_worker(**_PRODUCTION, **limits)
        async with asyncio.timeout(60):
            while '"worker ready"' not in worker.log.read_text():
                await asyncio.sleep(0.02)
        return worker

    async def api(self, port: int) -> ServiceProcess:
        """An API process without limits on who asks how often."""
        return await self.fleet.start_api(port, **_PRODUCTION, **_UNLIMITED, **_MANY)

    async def enqueue(self, count: int, made: list[bytes] | None = None) -> list[str]:
        """Jobs of 25 images, `count` images in all, put into the store directly; their ids.

        `made`: 25 pictures, or as many times the same; else small ones.
        """
        keys = []
        for number, data in enumerate(made or pictures.small(25)):
            key = layout.original("0" * 32, f"{number:032x}", "png")
            await self.fleet.storage.put(key, data, content_type="image/png")
            keys.append((key, len(data)))
        jobs_of_25 = [_job(keys[: min(25, count - start)]) for start in range(0, count, 25)]
        for job in jobs_of_25:
            await jobs.create(self.fleet.redis, job)
        return [job.job_id for job in jobs_of_25]

    async def finish(self, job_ids: list[str], *, every_s: float = 0.1) -> None:
        """Wait until every image has ended, job after job. Raises AssertionError where one has no model, and
        where a process has ended."""
        for job_id in job_ids:
            while (job := await jobs.read(self.fleet.redis, job_id, images=False)).counts.unfinished:
                guard.alive(self.fleet.workers)
                await asyncio.sleep(every_s)
            assert job.counts.succeeded == job.job.total > 0, await self._errors(job_id)

    async def _errors(self, job_id: str) -> list[str]:
        images = (await self.fleet.job(job_id)).images
        return [f"{image.error.code}: {image.error.message}" for image in images if image.error]

    async def at_fal(self, job_ids: list[str]) -> int:
        """How many of their images FAL has now."""
        reads = [await jobs.read(self.fleet.redis, id_, images=False) for id_ in job_ids]
        return sum(read.counts.submitted + read.counts.generating for read in reads)

    def cpu(self) -> float:
        """CPU seconds of all workers and the store so far: what the service costs, without FAL."""
        return sum(machine.cpu_seconds(worker.pid) for worker in self.fleet.workers) + self.store_cpu()

    def store_cpu(self) -> float:
        """CPU seconds of the store."""
        return machine.cpu_seconds(self.store_pid)


@asynccontextmanager
async def world(*flags: str) -> AsyncIterator[World]:
    """The store and the emulator, with flags of the latter; workers and APIs as they are asked for."""
    with durable_store() as (store, folder):
        assert store.pid is not None
        async with fleet_on(store.url, folder, *flags) as fleet:
            yield World(fleet, store.pid)
            guard.alive(fleet.workers)


def post_batch(port: int, body: bytes) -> tuple[str, float, float]:
    """Upload a batch; the job's id, and the seconds it took, and the wall clock at the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    began = time.perf_counter()
    connection.request("POST", "/api/v1/upload/batch", body, {"Content-Type": CONTENT_TYPE})
    answer = connection.getresponse()
    text = answer.read()
    took, at = time.perf_counter() - began, time.time()
    connection.close()
    assert answer.status in {200, 202}, (answer.status, text)
    return str(json.loads(text).get("job_id", "")), took, at


def _job(keys: list[tuple[str, int]]) -> jobs.NewJob:
    images = [
        jobs.NewImage(
            image_id=uuid.uuid4().hex,
            filename=f"{number}.png",
            size=size,
            sha256=f"{number:064x}",
            width=256,
            height=256,
            format="png",
            source_key=key,
        )
        for number, (key, size) in enumerate(keys)
    ]
    return jobs.NewJob(
        job_id=uuid.uuid4().hex,
        owner="bench",
        model=MODEL,
        params={},
        images=tuple(images),
        rejected=(),
        low_priority=False,
        no_cache=True,
        webhook_url=None,
        estimated_micro=None,
        ttl_ms=3_600_000,
    )
