"""The service as it is deployed: a durable store, the emulator as FAL, processes of our own.

Who calls it: every row that needs a worker or an API. Log level and lease are those of production.
"""

import asyncio
import http.client
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
from redis.asyncio import Redis

from tests.bench import guard, machine, pictures, product
from tests.support.emulator_process import KEY, EmulatorProcess, emulator_process
from tests.support.multipart_body import CONTENT_TYPE
from tests.support.service_process import ServiceProcess

MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2), "MALLOC_TRIM_THRESHOLD_": str(128 * 1024**2)}
"""What `up` and the image set."""
_PRODUCTION = {"I2M_LEASE_SECONDS": "15", "I2M_LOG_LEVEL": "info", "I2M_LOG_FORMAT": "json", **MALLOC}
_UNLIMITED = {"I2M_RATE_LIMIT": "100000/min", "I2M_ADDRESS_RATE_LIMIT": "100000/min"}
_MANY = {"I2M_MAX_QUEUED": "1000000"}


@contextmanager
def durable_store() -> Iterator[tuple[product.EmbeddedStore, Path]]:
    """A store that commits before it answers, and a folder for files beside it."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        store = product.EmbeddedStore(Path(folder) / "store", durable=True)
        store.start()
        try:
            yield store, Path(folder)
        finally:
            store.stop()


class World(msgspec.Struct, frozen=True):
    """Store, emulator, a folder, and the processes that a row starts."""

    redis: Redis
    redis_url: str
    store_pid: int
    emulator: EmulatorProcess
    folder: Path
    processes: list[ServiceProcess]

    @property
    def storage_url(self) -> str:
        """Where the files are."""
        return (self.folder / "files").as_uri()

    async def worker(
        self, *, slots: int = 100, permits: int = 100, concurrency: str | None = None
    ) -> ServiceProcess:
        """One more worker, ready. `concurrency`: what FAL runs at once; as many as there are permits."""
        limits = {
            "I2M_MAX_CONCURRENT": str(permits),
            "I2M_WORKER_CONCURRENCY": str(slots),
            "I2M_FAL_CONCURRENCY": concurrency or str(permits),
        }
        return await self._start("worker", product.WORKER_READY, limits)

    async def api(self, port: int) -> ServiceProcess:
        """An API process without limits on who asks how often."""
        return await self._start(
            "api", '"ready"', {"I2M_PORT": str(port), "I2M_AUTH": "none", **_UNLIMITED, **_MANY}
        )

    async def _start(self, command: str, ready: str, settings: dict[str, str]) -> ServiceProcess:
        own = {
            "I2M_REDIS_URL": self.redis_url,
            "I2M_STORAGE_URL": self.storage_url,
            "I2M_FAL_BASE_URL": self.emulator.url,
            "FAL_KEY": KEY,
        }
        log = self.folder / f"{command}-{len(self.processes)}.log"
        environment = {**os.environ, **own, **_PRODUCTION, **settings}
        process = ServiceProcess(["image2model", command], environment, log)
        self.processes.append(process)
        async with asyncio.timeout(60):
            while ready not in log.read_text():
                guard.alive([process])
                await asyncio.sleep(0.02)
        return process

    async def enqueue(self, count: int, made: list[bytes] | None = None, owner: str = "bench") -> list[str]:
        """Jobs of 25 images, `count` images in all, put into the store directly; their ids.

        `made`: 25 pictures, or as many times the same; else small ones.
        """
        sources = [
            (await product.put_picture(self.storage_url, number, data), len(data))
            for number, data in enumerate(made or pictures.small(25))
        ]
        return [
            await product.create_job(self.redis, sources[: min(25, count - start)], owner)
            for start in range(0, count, 25)
        ]

    async def finish(self, job_ids: list[str], *, every_s: float = 0.1) -> None:
        """Wait until every image has ended, job after job. Raises AssertionError where one has no model, and
        where a process has ended."""
        for job_id in job_ids:
            while (job := await product.progress(self.redis, job_id)).unfinished:
                guard.alive(self.processes)
                await asyncio.sleep(every_s)
            assert job.succeeded == job.total > 0, await product.errors(self.redis, job_id)

    async def at_fal(self, job_ids: list[str]) -> int:
        """How many of their images FAL has now."""
        return sum([(await product.progress(self.redis, id_)).at_fal for id_ in job_ids])

    def cpu(self) -> float:
        """CPU seconds of all processes and the store so far: what the service costs, without FAL."""
        return sum(machine.cpu_seconds(process.pid) for process in self.processes) + self.store_cpu()

    def store_cpu(self) -> float:
        """CPU seconds of the store."""
        return machine.cpu_seconds(self.store_pid)


@asynccontextmanager
async def world(*flags: str, own_emulator: bool = False) -> AsyncIterator[World]:
    """The store and the emulator, with flags of the latter; workers and APIs as they are asked for.

    `own_emulator`: of the two revisions that are compared, each runs its own one, not both this checkout's.
    """
    own_path = os.environ.get("BENCH_UP_PATH") if own_emulator else None
    environment = {"PYTHONPATH": own_path} if own_path else {}
    with (
        durable_store() as (store, folder),
        emulator_process(
            "--latency", "0.3s", "--concurrency", "2000", *flags, environment=environment
        ) as emulator,
    ):
        assert store.pid is not None
        async with product.connect(store.url) as redis:
            made = World(redis, store.url, store.pid, emulator, folder, [])
            try:
                yield made
                guard.alive(made.processes)
            finally:
                for process in made.processes:
                    await process.end()
            for process in made.processes:
                process.watch.check()


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
