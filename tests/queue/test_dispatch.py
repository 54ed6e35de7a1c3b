"""The dispatcher inside one process: what it stops, and which lease it gives back."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import arq.constants
import arq.utils
import arq.worker
import pytest
from arq.worker import Retry
from redis.asyncio import Redis

from image2model import settings
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from image2model.generation import loading, steps
from image2model.generation.unconfirmed import next_lookup_s
from image2model.queue import dispatch, leases, reconciliation
from image2model.queue.dispatch import LeasedWorker, arq_function
from image2model.queue.leases import LeaseRenewer
from image2model.queue.running import RunningTask
from image2model.queue.unexpected import GuardedTask, Work, no_cleanup
from image2model.storage.address import open_storage
from image2model.store import arq_keys
from image2model.store.arq_keys import in_progress_key, queue_key
from image2model.store.durability import Replicas
from image2model.store.keys import Queue, key
from image2model.worker.process import WorkerContext
from tests.support.jobs import create_job, pick, take_permit

IN_PROGRESS = in_progress_key("t1")


@asynccontextmanager
async def dispatcher(redis: Redis, folder: Path, work: Work[WorkerContext]) -> AsyncIterator[LeasedWorker]:
    """A dispatcher of one queue whose tasks do `work`; the first task waits in the queue."""
    given = settings.load({}, redis_url="redis://unused", storage_url=(folder / "files").as_uri())
    fal = FalGateway("id:secret", FalHosts.at("http://127.0.0.1:9"))
    context = WorkerContext(given, redis, open_storage(given.storage_url), fal)
    renewer = LeaseRenewer(context, (Queue.BATCH,))
    finish = arq_function(GuardedTask("finish_batch", Queue.BATCH, work, no_cleanup))
    worker = LeasedWorker(Queue.BATCH, [finish], context, renewer, worker_id="w", slots=4)
    await reconciliation.enqueue_once(redis, Queue.BATCH, "t1", "finish_batch", "job")
    try:
        yield worker
    finally:
        await worker.stop()
        context.close()


def test_our_names_of_keys_are_those_of_arq() -> None:
    ours = tuple(arq_keys.PLAIN[kind] for kind in (arq_keys.JOB, arq_keys.IN_PROGRESS, arq_keys.RETRY))
    arqs = arq.constants
    assert ours == (arqs.job_key_prefix, arqs.in_progress_key_prefix, arqs.retry_key_prefix)


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
        runs[0].lose_lease()
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
        assert await redis.zscore(queue_key("batch_processing"), "t1") is not None


@pytest.mark.parametrize("ahead_ms", [-60_000, 60_000])
async def test_wait_is_measured_by_the_stores_clock(
    redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_ms: int
) -> None:
    clock = arq.utils.timestamp_ms
    monkeypatch.setattr(arq.worker, "timestamp_ms", lambda: clock() + ahead_ms)
    monkeypatch.setattr(dispatch, "timestamp_ms", lambda: clock() + ahead_ms, raising=False)

    async def work(_: WorkerContext, __: RunningTask, ___: str) -> None:
        raise Retry(defer=30)

    async with asyncio.timeout(20), dispatcher(redis, tmp_path, work) as worker:
        await worker.pick()
        await asyncio.wait(list(worker.tasks.values()))
        score = await redis.zscore(queue_key("batch_processing"), "t1")
        seconds, micros = await redis.time()
        assert score is not None
        assert 20_000 < score - seconds * 1000 - micros / 1000 <= 30_000


async def test_age_of_a_submit_is_measured_by_the_stores_clock(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_job(redis)
    (claim,) = await pick(redis)
    await take_permit(redis, claim)
    await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 3600)
    assert next_lookup_s(await loading.load(redis, claim.task_id), 120) == 1.0
