"""The store crashes, restarts, and refuses to write: every process lives on, and nothing accepted is lost."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from image2model.domain import Counts, ImageStatus
from image2model.store.keys import key
from tests.support.crashing_store import CrashingStore
from tests.support.fleet import Fleet, at_fal
from tests.support.gate import calls
from tests.support.ports import free_ports
from tests.support.sketches import picture
from tests.support.stage import Stage, stage_on
from tests.support.store_conditions import COMMANDS
from tests.worker.deleted_jobs import are_deleted

UPLOAD = "/api/v1/upload/batch"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CrashingStore]:
    """A durable server of the test's own."""
    store = CrashingStore(tmp_path / "store")
    await store.start()
    yield store
    store.stop()


@pytest.fixture
async def stage(store: CrashingStore, tmp_path: Path) -> AsyncIterator[Stage]:
    """A fleet on that server."""
    async with stage_on(store.url, tmp_path, store.url) as stage:
        yield stage


async def _moves_within(fleet: Fleet, job_id: str, seconds: float) -> None:
    before = (await fleet.job(job_id)).counts.succeeded
    await fleet.until(job_id, lambda job: job.counts.succeeded > before, timeout=seconds)


@pytest.mark.long
@pytest.mark.parametrize(("number", "away"), [(signal.SIGKILL, 4.0), (signal.SIGTERM, 0.5)])
async def test_workers_outlive_the_store_and_resume_at_once(
    store: CrashingStore, stage: Stage, number: signal.Signals, away: float
) -> None:
    fleet = stage.fleet
    fleet.emulator.settings(latency=0.5)
    workers = [fleet.start_worker(I2M_MAX_CONCURRENT="4") for _ in range(2)]
    job_id = await fleet.submit(40)
    await fleet.until(job_id, lambda job: job.counts.succeeded > 2)
    await store.restart(number, away)
    await _moves_within(fleet, job_id, 10)
    job = await fleet.until_finished(job_id, timeout=60)
    assert job.counts.succeeded + job.counts.failed == 40
    assert len(fleet.submissions_of(job)) <= 40
    for worker in workers:
        worker.send(signal.SIGTERM)
        assert await worker.exit_code() == 0


@pytest.mark.long
@pytest.mark.parametrize("condition", COMMANDS)
async def test_workers_wait_while_the_store_refuses_to_write(stage: Stage, condition: str) -> None:
    begin, end = COMMANDS[condition]
    fleet = stage.fleet
    fleet.emulator.settings(latency=5)
    worker = fleet.start_worker()
    job_id = await fleet.submit(10)
    await fleet.until(job_id, lambda job: at_fal(job) == 10)
    await fleet.redis.execute_command(*begin)
    await asyncio.sleep(3)  # longer than the lease
    await fleet.redis.execute_command(*end)
    job = await fleet.until_finished(job_id)
    assert job.counts == Counts(succeeded=10)
    assert len(fleet.submissions_of(job)) == 10
    worker.send(signal.SIGTERM)
    assert await worker.exit_code() == 0


@pytest.mark.long
@pytest.mark.parametrize("refusal", ["replica", "too few replicas", "away"])
async def test_api_refuses_in_time_and_says_when_to_ask_again(
    store: CrashingStore, stage: Stage, refusal: str
) -> None:
    (port,) = free_ports(1)
    await stage.fleet.start_api(port)
    kept = await _stored(stage)
    restarting = await _refuse(store, stage, refusal)
    started = time.monotonic()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
        answer = await http.post(UPLOAD, files=_pictures(2), headers={"Idempotency-Key": "k"})
    assert time.monotonic() - started < 18
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    if restarting is not None:
        await restarting
    assert await _stored(stage) == kept


async def _refuse(store: CrashingStore, stage: Stage, refusal: str) -> "asyncio.Task[None] | None":
    redis = stage.fleet.redis
    if refusal == "replica":
        await redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    elif refusal == "too few replicas":
        await redis.config_set("min-replicas-to-write", "1")
    else:
        return asyncio.create_task(store.restart(signal.SIGKILL, 4))
    return None


@pytest.mark.long
async def test_batch_that_was_stored_without_a_reply_is_not_lost(store: CrashingStore, stage: Stage) -> None:
    (port,) = free_ports(1)
    hold = stage.store.hold(calls("jobs/create_job"), answer=True)
    await stage.fleet.start_api(port, **stage.settings())
    stage.start_worker()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        headers = {"Idempotency-Key": "once"}
        first = asyncio.create_task(http.post(UPLOAD, files=_pictures(3), headers=headers))
        async with asyncio.timeout(40):
            await hold.reached.wait()
        restarting = asyncio.create_task(store.restart(signal.SIGKILL, 8))
        assert (await first).status_code == 503
        await restarting
        again = await http.post(UPLOAD, files=_pictures(3), headers=headers)
    assert again.status_code == 202
    job = await stage.fleet.until_finished(again.json()["job_id"])
    assert [image.status for image in job.images] == [ImageStatus.SUCCEEDED] * 3
    assert len(await stage.fleet.redis.keys(key("job_events", "*"))) == 1


@pytest.mark.long
async def test_batch_without_a_key_that_was_stored_without_a_reply_is_taken_back(
    store: CrashingStore, stage: Stage
) -> None:
    (port,) = free_ports(1)
    hold = stage.store.hold(calls("jobs/create_job"), answer=True)
    await stage.fleet.start_api(port, **stage.settings())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        first = asyncio.create_task(http.post(UPLOAD, files=_pictures(3)))
        async with asyncio.timeout(40):
            await hold.reached.wait()
        restarting = asyncio.create_task(store.restart(signal.SIGKILL, 8))
        assert (await first).status_code == 503
        await restarting
    async with asyncio.timeout(40):
        while not await are_deleted(stage.fleet.redis):
            await asyncio.sleep(0.02)
    stage.start_worker()
    async with asyncio.timeout(40):
        while await stage.fleet.redis.keys(key("job", "*")) or await _stored(stage):
            await asyncio.sleep(0.05)
    assert stage.fleet.emulator.submissions() == []


@pytest.mark.long
async def test_api_ends_at_once_while_streams_wait_for_the_store(store: CrashingStore, stage: Stage) -> None:
    (port,) = free_ports(1)
    api = await stage.fleet.start_api(port)
    store.stop()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
        asking = asyncio.create_task(http.get("/api/v1/events"))
        await _begun(port)
        api.send(signal.SIGTERM)
        started = time.monotonic()
        assert (await asking).status_code == 503
    assert await api.exit_code() == 0
    assert time.monotonic() - started < 8


async def _begun(port: int) -> None:
    """The API serves again, so the request sent before is under way."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
        for _ in range(2):
            await http.get("/api/v1/health/live")


def _pictures(count: int) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("files", (f"{n}.png", picture(n, (32, 24)), "image/png")) for n in range(count)]


async def _stored(stage: Stage) -> list[str]:
    return sorted([found.key async for found in stage.fleet.storage.list()])
