"""The dispatcher inside one process: what it stops, and which lease it gives back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from image2model import settings
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from image2model.storage.address import open_storage
from image2model.store import leases, upkeep
from image2model.store.connection import connect
from image2model.store.keys import Queue, key
from image2model.worker.context import WorkerContext
from image2model.worker.dispatch import LeasedWorker, Work, task
from image2model.worker.keeper import LeaseKeeper
from image2model.worker.running import RunningTask

IN_PROGRESS = "arq:in-progress:t1"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of the empty server."""
    async with connect(redis_url) as client:
        yield client


@asynccontextmanager
async def dispatcher(redis: Redis, folder: Path, work: Work) -> AsyncIterator[LeasedWorker]:
    """A dispatcher of one queue whose tasks do `work`; the first task waits in the queue."""
    given = settings.load({}, redis_url="redis://unused", storage_url=(folder / "files").as_uri())
    fal = FalGateway("id:secret", FalHosts.at("http://127.0.0.1:9"))
    context = WorkerContext(given, redis, open_storage(given.storage_url), fal)
    keeper = LeaseKeeper(context, (Queue.BATCH,))
    worker = LeasedWorker(Queue.BATCH, [task("finish_batch", work)], context, keeper, worker_id="w", slots=4)
    await upkeep.enqueue_once(redis, Queue.BATCH, "t1", "finish_batch", "job")
    try:
        yield worker
    finally:
        await worker.stop()
        context.close()


async def test_run_that_still_unwinds_leaves_the_next_ones_lease_alone(redis: Redis, tmp_path: Path) -> None:
    runs: list[RunningTask] = []
    started, unwind, again = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(_: WorkerContext, running: RunningTask, __: str) -> None:
        runs.append(running)
        if len(runs) > 1:
            again.set()
            await asyncio.Event().wait()
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.shield(unwind.wait())

    async with asyncio.timeout(20), dispatcher(redis, tmp_path, work) as worker:
        await worker.pick()
        await started.wait()
        await redis.execute_command("ZADD", key("leases", Queue.BATCH), 1, "t1")
        assert await leases.sweep(redis, Queue.BATCH, lease_s=15) == 1
        await worker.pick()
        held = await redis.get(IN_PROGRESS)
        runs[0].lose()
        unwind.set()
        await again.wait()
        assert await redis.get(IN_PROGRESS) == held == runs[1].token.encode()


async def test_task_that_has_not_begun_stops_as_well(redis: Redis, tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def work(_: WorkerContext, __: RunningTask, ___: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with asyncio.timeout(20), dispatcher(redis, tmp_path, work) as worker:
        await worker.pick()
        await worker.stop()  # right after the pick: ARQ has not come to the function
        assert await redis.get(IN_PROGRESS) is None
        assert await redis.zscore("arq:queue:batch_processing", "t1") is not None
