"""A world without the API: store, emulator, storage and worker processes, jobs put in directly.

Used by the worker's tests, which kill and stop processes: each test has its own emulator and folder.
"""

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from image2model.access.accounts import Allowance
from image2model.domain import IMAGE_UNFINISHED, SIDES, ImageStatus, Metadata, Preparation, StoredView
from image2model.jobs import records
from image2model.jobs.digests import digest
from image2model.jobs.new_jobs import NewImage, NewJob
from image2model.settings import Settings, load
from image2model.storage import layout
from image2model.storage.address import open_storage
from image2model.store import job_reads
from image2model.store.arq_keys import queue_key
from image2model.store.connection import connect
from image2model.store.keys import Queue, key
from image2model.store.records import ImageRow, JobSnapshot
from tests.support import forked
from tests.support.emulator_process import KEY, EmulatorProcess, emulator_process
from tests.support.service_process import ServiceProcess
from tests.support.sketches import picture

MODEL = "tripo3d/tripo/v2.5/image-to-3d"


class Fleet:
    """The world of one test."""

    def __init__(self, redis: Redis, redis_url: str, folder: Path, emulator: EmulatorProcess) -> None:
        self.redis = redis
        self.redis_url = redis_url
        self.emulator = emulator
        self.storage = open_storage((folder / "files").as_uri())
        self.workers: list[ServiceProcess] = []
        self._folder = folder
        self._environment = {
            "I2M_REDIS_URL": redis_url,
            "I2M_STORAGE_URL": (folder / "files").as_uri(),
            "I2M_FAL_BASE_URL": emulator.url,
            "FAL_KEY": KEY,
            "I2M_LEASE_SECONDS": "2",
            "I2M_FAL_CONCURRENCY": "1000",
            "I2M_LOG_FORMAT": "json",
            "I2M_LOG_LEVEL": "debug",
        }

    def settings(self, **more: str) -> Settings:
        """Those that its processes have."""
        return load({**self._environment, **more})

    def start_worker(self, module: str = "image2model", **settings: str) -> ServiceProcess:
        """One more worker; settings by name, `I2M_MAX_CONCURRENT="100"`. `module`: the program around it."""
        return self._start("worker", settings, (module, "worker"))

    def start_faulty_worker(self, **settings: str) -> ServiceProcess:
        """A worker in which something fails; see `tests.support.faulty_worker`."""
        return self._start("worker", settings, ("tests.support.faulty_worker", "worker"))

    def start_paced_worker(
        self, first_gap_s: float, last_gap_s: float, probe_within_s: float = 20, **settings: str
    ) -> ServiceProcess:
        """One that probes the endpoints of FAL more often than every half a minute."""
        pace = (str(first_gap_s), str(last_gap_s), str(probe_within_s))
        return self._start("worker", settings, ("tests.support.paced_worker", *pace))

    async def start_api(self, port: int, **settings: str) -> ServiceProcess:
        """An API process on a port of loopback, ready."""
        api = self._start("api", {"I2M_PORT": str(port), "I2M_AUTH": "none", **settings})
        async with asyncio.timeout(60):
            while '"ready"' not in api.log.read_text():
                await asyncio.sleep(0.02)
        return api

    def _start(self, command: str, settings: dict[str, str], program: Sequence[str] = ()) -> ServiceProcess:
        log = self._folder / f"{command}-{len(self.workers)}.log"
        process = ServiceProcess(
            program or ("image2model", command),
            {**os.environ, **self._environment, **settings},
            log,
            forked.start,
        )
        self.workers.append(process)
        return process

    async def submit(
        self,
        count: int = 1,
        *,
        owner: str = "ann",
        pictures: list[bytes] | None = None,
        reuse: bool = False,
        webhook_url: str | None = None,
        model: str = MODEL,
        metadata: Metadata | None = None,
        preparation: Preparation | None = None,
        unit_micro: int = 0,
        cutout_micro: int = 0,
        allowance: Allowance | None = None,
        views: int = 0,
        **params: object,
    ) -> str:
        """A job of `count` small pictures; its id. `reuse`: results may serve several images.

        `metadata` is the job's, and each image's. `preparation`: what is done with each picture before its
        model runs; `unit_micro` and `cutout_micro` are set aside for a model and for a background. With
        `views` each image is an object of so many pictures.
        """
        job_id = uuid.uuid4().hex
        if pictures is None:
            pictures = [picture(seed, (48, 32)) for seed in range(count)]
        images = []
        for number, data in enumerate(pictures):
            image_id = uuid.uuid4().hex
            key = layout.original(job_id, image_id, "png")
            await self.storage.put(key, data, content_type="image/png")
            sides = [
                await self._view(job_id, image_id if n == 0 else uuid.uuid4().hex, 1000 * number + n)
                for n in range(views)
            ]
            cut = [one.sha256 for one in sides] or [hashlib.sha256(data).hexdigest()]
            removes = preparation is not None and preparation.remove_background is not None
            image = NewImage(
                image_id=image_id,
                filename=f"{number}.png",
                size=len(data),
                sha256=f"{number:064x}",
                width=48,
                height=32,
                format="png",
                source_key=key,
                digest=digest(
                    hashlib.sha256(data).hexdigest(),
                    model,
                    params,
                    owner=owner,
                    dedupe="owner",
                    no_cache=not reuse,
                ),
                metadata=metadata or {},
                views=tuple(sides),
                preparation=preparation,
                cutout_digests=tuple(f"cut-{one}" if reuse else "" for one in cut) if removes else (),
            )
            images.append(image)
        await records.create(
            self.redis,
            NewJob(
                job_id=job_id,
                owner=owner,
                model=model,
                params=params,
                images=tuple(images),
                rejected=(),
                low_priority=False,
                no_cache=True,
                webhook_url=webhook_url,
                estimated_micro=None,
                unit_micro=unit_micro,
                cutout_micro=cutout_micro,
                ttl_ms=3_600_000,
                metadata=metadata or {},
            ),
            None,
            allowance,
        )
        return job_id

    async def _view(self, job_id: str, file_id: str, seed: int) -> StoredView:
        data = picture(seed, (48, 32))
        await self.storage.put(layout.original(job_id, file_id, "png"), data, content_type="image/png")
        return StoredView(
            file_id=file_id,
            filename=f"{seed}.png",
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            width=48,
            height=32,
            format="png",
            side=SIDES[seed % 1000],
        )

    async def job(self, job_id: str) -> JobSnapshot:
        """The job as it is now."""
        return await job_reads.read_job(self.redis, job_id)

    async def until(
        self, job_id: str, condition: Callable[[JobSnapshot], bool], timeout: float = 90
    ) -> JobSnapshot:
        """Wait for a state of the job."""
        snapshot = await self.job(job_id)
        try:
            async with asyncio.timeout(timeout):
                while not condition(snapshot):
                    await asyncio.sleep(0.02)
                    snapshot = await self.job(job_id)
        except TimeoutError:
            logs = "\n".join(worker.log.read_text()[-3000:] for worker in self.workers)
            rows = "\n".join([await self._row(image.image_id) for image in unfinished_of(snapshot)])
            raise AssertionError(f"{snapshot.counts}\n{rows}\n{logs}") from None
        return snapshot

    async def _row(self, image_id: str) -> str:
        """What the store has of an image, and its place in the queue: for who asks why it stands still."""
        row = await self.redis.hgetall(key("image", image_id))
        score = await self.redis.zscore(queue_key(Queue.GENERATION), image_id)
        lease = await self.redis.zscore(key("leases", Queue.GENERATION), image_id)
        return f"score={score} lease={lease} {row}"

    async def until_finished(self, job_id: str, timeout: float = 90) -> JobSnapshot:
        """Wait for the job's end."""
        return await self.until(job_id, lambda snapshot: not snapshot.counts.unfinished, timeout)

    def submissions_of(self, job: JobSnapshot) -> list[dict[str, Any]]:
        """What FAL accepted for the images of a job."""
        ids = {image.image_id for image in job.images}
        return [entry for entry in self.emulator.submissions() if entry["tags"].get("i2m.image") in ids]


def at_fal(snapshot: JobSnapshot) -> int:
    """How many images FAL has."""
    return snapshot.counts.submitted + snapshot.counts.generating


def unfinished_of(snapshot: JobSnapshot) -> list[ImageRow]:
    """The images that have no end yet."""
    return [image for image in snapshot.images if image.status in IMAGE_UNFINISHED]


def failed_codes(snapshot: JobSnapshot) -> list[str]:
    """The error codes of the failed images."""
    return [i.error.code for i in snapshot.images if i.status is ImageStatus.FAILED and i.error]


@asynccontextmanager
async def fleet_on(redis_url: str, folder: Path, *flags: str) -> AsyncIterator[Fleet]:
    """A fleet without workers yet. `flags` are the emulator's."""
    async with AsyncExitStack() as stack:
        emulator = stack.enter_context(
            emulator_process("--latency", "0.3s", "--concurrency", "2000", *flags, start=forked.start)
        )
        redis = await stack.enter_async_context(connect(redis_url))
        fleet = Fleet(redis, redis_url, folder, emulator)
        try:
            yield fleet
        finally:
            for worker in fleet.workers:
                await worker.end()
            for worker in fleet.workers:
                worker.watch.check()
