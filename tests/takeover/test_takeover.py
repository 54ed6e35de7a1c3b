"""The data of a service of the revision before, loaded under new processes: every job ends right.

The fixture holds jobs in every state; its workers were killed. FAL is an emulator that knows the requests of
the old service, or one that has forgotten them all.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from fal_emulator.config import Config
from fal_emulator.endpoints import ENDPOINTS
from fal_emulator.generation import Generation
from image2model.client.events import EventParser, ServerSentEvent
from image2model.events import history
from image2model.store import job_reads
from image2model.store.connection import connect
from image2model.store.data_versions import LATEST
from image2model.store.identity import negotiate
from image2model.store.keys import key
from image2model.store.records import JobSnapshot
from tests.support.emulator import RunningEmulator, running_emulator
from tests.support.keys import keys_without_ttl
from tests.support.ports import free_port
from tests.support.service_process import ServiceProcess
from tests.support.sketches import picture
from tests.support.webhook_receiver import Receiver, answering, receiving
from tests.takeover import fixture
from tests.takeover.fixture import Head

pytestmark = pytest.mark.long

_HOST = "127.0.0.1"
_ENDED = ("succeeded", "reused", "failed", "unconfirmed_failed", "webhook", "cancelled")
_AT_FAL = ("storing", "generating", "submitted", "unconfirmed")
_NOT_SENT = ("preparing", "queued")


class Taken:
    """The new service on the old one's data. `before`: jobs as they were, `heard`: ann's last event."""

    def __init__(self, redis: Redis, head: Head, emulator: RunningEmulator, receiver: Receiver) -> None:
        self.redis = redis
        self.head = head
        self.emulator = emulator
        self.receiver = receiver
        self.before: dict[str, JobSnapshot] = {}
        self.heard = 0
        self.worker: ServiceProcess
        self.http: httpx.AsyncClient

    async def job(self, name: str) -> JobSnapshot:
        """As it is now."""
        return await job_reads.read_job(self.redis, self.head.jobs[name])

    async def until_finished(self, *names: str) -> None:
        """Wait for the ends of these jobs."""
        deadline = asyncio.get_running_loop().time() + 40
        for name in names:
            while (job := await self.job(name)).counts.unfinished:
                if asyncio.get_running_loop().time() > deadline:
                    raise AssertionError(f"{name} is {job.counts}\n{self.worker.log.read_text()[-5000:]}")
                await asyncio.sleep(0.05)

    async def get(self, path: str, owner: str) -> httpx.Response:
        """As this owner."""
        return await self.http.get(path, headers=self._bearer(owner), follow_redirects=True)

    async def post(self, path: str, owner: str, **more: Any) -> httpx.Response:
        """As this owner."""
        reply = await self.http.post(path, headers=self._bearer(owner), **more)
        reply.raise_for_status()
        return reply

    async def events(self, path: str, last_id: int, until: Callable[[ServerSentEvent], bool]) -> list[str]:
        """The kinds of what a client of ann's gets that had heard everything up to `last_id`."""
        headers = {"Last-Event-ID": str(last_id), **self._bearer("ann")}
        kinds, parser = [], EventParser()
        async with asyncio.timeout(60), self.http.stream("GET", path, headers=headers) as reply:
            assert reply.status_code == 200
            async for chunk in reply.aiter_bytes():
                for event in parser.feed(chunk):
                    kinds.append(event.event)
                    if until(event):
                        return kinds
        return kinds

    async def bought(self) -> Counter[str]:
        """Submissions by the name of their job, but for those that the emulator knew."""
        known = {one.request_id for one in self.head.at_fal.values()}
        names = {i.image_id: name for name, job in self.before.items() for i in job.images}
        entries = (await self.emulator.ledger())["submissions"]
        return Counter(names[e["tags"]["i2m.image"]] for e in entries if e["request_id"] not in known)

    def _bearer(self, owner: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.head.keys[owner]}"}


async def _remember(emulator: RunningEmulator, head: Head, there: str) -> None:
    """Let this emulator have what the old one had accepted. `there`: where that was."""
    url = await emulator.upload(picture(1, (24, 16)))
    for name, one in head.at_fal.items():
        emulator.state.accept(
            Generation(
                request_id=one.request_id,
                endpoint=ENDPOINTS[one.endpoint],
                arguments={"image_url": url},
                recorded={"image_url": one.url.replace(there, emulator.url)},
                tags={"takeover": name},
                key_id="test-id",
                base_url=emulator.url,
                latency=0.3,
            )
        )


@asynccontextmanager
async def taken_over(redis_url: str, folder: Path, *, remembered: bool) -> AsyncIterator[Taken]:
    """One new API and one new worker, started on the fixture."""
    processes: list[ServiceProcess] = []
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(running_emulator(Config(latency=0.2, grid=2, texture=8)))
        receiver = await stack.enter_async_context(receiving(answering("200 OK")))
        async with connect(redis_url) as empty:
            head = await fixture.load(empty, folder / "files", emulator.url, receiver.url)
        redis = await stack.enter_async_context(connect(redis_url))
        if remembered:
            await _remember(emulator, head, head.fal)
        taken = Taken(redis, head, emulator, receiver)
        _, taken.heard = await history.bounds_of_owner(redis, "ann")
        taken.before = {name: await taken.job(name) for name in head.jobs}
        port = free_port(_HOST)
        environment = {
            "I2M_REDIS_URL": redis_url,
            "I2M_STORAGE_URL": (folder / "files").as_uri(),
            "I2M_FAL_BASE_URL": emulator.url,
            "FAL_KEY": "test-id:test-secret",
            "I2M_PORT": str(port),
            "I2M_LEASE_SECONDS": "2",
            "I2M_UNCONFIRMED_GRACE": "3",
            "I2M_WEBHOOK_ALLOW_PRIVATE": "1",
            "I2M_LOG_FORMAT": "json",
        }
        try:
            processes += [
                ServiceProcess(("image2model", command), _inherited(environment), folder / f"{command}.log")
                for command in ("api", "worker")
            ]
            taken.worker = processes[1]
            taken.http = await stack.enter_async_context(
                httpx.AsyncClient(base_url=f"http://{_HOST}:{port}/api/v1", timeout=20)
            )
            await _until_ready(processes[0])
            yield taken
        finally:
            for process in processes:
                await process.end()
                process.watch.check()


def _inherited(environment: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **environment}


async def _until_ready(api: ServiceProcess) -> None:
    deadline = asyncio.get_running_loop().time() + 20
    while '"ready"' not in api.log.read_text():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(api.log.read_text())
        await asyncio.sleep(0.02)


@pytest.fixture
async def taken(redis_url: str, tmp_path: Path) -> AsyncIterator[Taken]:
    """FAL knows what it was sent."""
    async with taken_over(redis_url, tmp_path, remembered=True) as taken:
        yield taken
        assert await keys_without_ttl(taken.redis) == []


async def test_every_job_of_the_revision_before_ends_right(taken: Taken) -> None:
    upgrade = await negotiate(taken.redis)
    assert (upgrade.identity.version, upgrade.workers) == (1, 1), "its worker's heartbeat is still there"
    resumed = [asyncio.create_task(stream) for stream in _resumed(taken, "generating")]
    await taken.until_finished(*_AT_FAL)
    assert (await taken.job("queued")).counts.queued == 2, "an operator had paused generations"
    await taken.post("/admin/queues/model_generation/resume", "boss")
    await taken.until_finished(*taken.head.jobs)
    await _ended_right(taken)
    await _accounts_are_right(taken)
    await _readable(taken)
    for kinds in await asyncio.gather(*resumed):
        assert kinds[-1] == "complete"
        assert "snapshot" not in kinds
    await _webhook_arrives(taken)
    await _newest_version_works(taken)


def _resumed(taken: Taken, name: str) -> list[Coroutine[Any, Any, list[str]]]:
    """The job's stream and its owner's, from where the old service had brought them."""
    job_id = taken.head.jobs[name]

    def ends(event: ServerSentEvent) -> bool:
        return event.event == "complete" and job_id in event.data

    version = taken.before[name].version
    return [
        taken.events(f"/status/stream/{job_id}", version, ends),
        taken.events("/events", taken.heard, ends),
    ]


async def _ended_right(taken: Taken) -> None:
    """What had ended is as it was; what FAL had was followed; what it had not was sent, once."""
    for name in _ENDED:
        now = await taken.job(name)
        assert now.images == taken.before[name].images, name
    for name in (*_AT_FAL, *_NOT_SENT, "parked"):
        now = await taken.job(name)
        assert now.counts.succeeded == len(now.images), (name, now.images)
    assert (await taken.job("parked")).images[0].cached
    assert await taken.bought() == {"preparing": 1, "queued": 2}


async def _accounts_are_right(taken: Taken) -> None:
    """What was spent is what the images cost; nothing stays reserved or counted."""
    for owner, names in {"ann": set(taken.head.jobs) - {"queued", "cancelled"}, "bob": {"queued"}}.items():
        images = [image for name in names for image in (await taken.job(name)).images]
        account = await taken.redis.hgetall(key("account", owner))
        assert int(account[b"total_spent"]) == sum(image.cost_micro or 0 for image in images)
        assert (int(account[b"unfinished"]), int(account[b"reserved"])) == (0, 0)


async def _readable(taken: Taken) -> None:
    for name, job_id in taken.head.jobs.items():
        owner = "bob" if name in ("queued", "cancelled") else "ann"
        document = (await taken.get(f"/status/{job_id}", owner)).raise_for_status().json()
        assert document["counts"]["queued"] == 0
        for image in document["images"]:
            if image["status"] == "succeeded":
                model = await taken.get(f"/download/{job_id}/{image['image_id']}", owner)
                assert model.content.startswith(b"glTF"), (name, model.status_code)
        stranger = "ann" if owner == "bob" else "bob"
        assert (await taken.get(f"/status/{job_id}", stranger)).status_code == 404


async def _webhook_arrives(taken: Taken) -> None:
    """The delivery that was to be tried again."""
    async with asyncio.timeout(30):
        while not taken.receiver.requests:
            await asyncio.sleep(0.05)
    assert taken.head.jobs["webhook"].encode() in taken.receiver.requests[0].body


async def _newest_version_works(taken: Taken) -> None:
    """After the switch the same processes go on."""
    assert (await negotiate(taken.redis, force=True)).identity.version == LATEST
    files = {"files": ("a.png", picture(99, (24, 16)), "image/png")}
    job = (await taken.post("/upload/batch", "ann", files=files)).json()["job_id"]
    async with asyncio.timeout(20):
        while (await job_reads.read_job(taken.redis, job)).counts.unfinished:
            await asyncio.sleep(0.05)
    assert (await job_reads.read_job(taken.redis, job)).counts.succeeded == 1


async def test_requests_that_fal_has_forgotten_end_as_such_and_are_not_bought_again(
    redis_url: str, tmp_path: Path
) -> None:
    async with taken_over(redis_url, tmp_path, remembered=False) as taken:
        await taken.post("/admin/queues/model_generation/resume", "boss")
        await taken.until_finished(*taken.head.jobs)
        codes = {}
        for name in _AT_FAL:
            error = (await taken.job(name)).images[0].error
            codes[name] = error and (error.code, error.retryable)
        expired = ("result_expired", True)
        assert codes == {
            "storing": expired,
            "generating": expired,
            "submitted": expired,
            "unconfirmed": ("submission_unconfirmed", True),
        }
        # what waited for the forgotten run runs itself
        assert await taken.bought() == {"preparing": 1, "queued": 2, "parked": 1}
        for name in (*_NOT_SENT, "parked"):
            assert (await taken.job(name)).counts.succeeded == len(taken.before[name].images)
