"""`python -m tests.takeover.make_fixture`: the revision before with jobs in every state, as a fixture.

The service is 8adfc9c from git, the emulator this checkout's. Its workers are killed in the end, so that what
they held is held by nobody, as after a crash in the middle of an upgrade.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

from fal_emulator.config import Config
from image2model.store.connection import connect
from image2model.store.keys import key
from image2model.up.store import EmbeddedStore
from tests.support.emulator import RunningEmulator, running_emulator
from tests.support.fleet import MODEL
from tests.support.gate import Gate, Hold, gate_to
from tests.support.ports import free_port
from tests.support.service_process import ServiceProcess
from tests.support.sketches import picture
from tests.support.webhook_receiver import answering, receiving
from tests.takeover.fixture import PATH, AtFal, Head, files_of, keys_of, write
from tests.takeover.revision import OLD, sources_of

_HOST = "127.0.0.1"
_HOUR = 3600.0


class Old:
    """A running service of the revision before. `jobs`: ids by what they show."""

    def __init__(
        self, folder: Path, redis: Redis, emulator: RunningEmulator, gate: Gate, environment: dict[str, str]
    ) -> None:
        self.jobs: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        self.redis = redis
        self.emulator = emulator
        self.gate = gate
        self.http: httpx.AsyncClient
        self._folder = folder
        self._environment = environment
        self.processes: list[ServiceProcess] = []

    def start(self, command: str, **settings: str) -> ServiceProcess:
        """A process of it."""
        log = self._folder / f"{command}-{len(self.processes)}.log"
        process = ServiceProcess(("image2model", command), {**self._environment, **settings}, log)
        self.processes.append(process)
        return process

    def make_key(self, owner: str, *options: str) -> None:
        """By its own command."""
        command = [sys.executable, "-m", "image2model", "keys", "create", "--name", owner, "--json", *options]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=True)
        self.keys[owner] = json.loads(done.stdout)["key"]

    async def upload(self, name: str, *seeds: int, owner: str = "ann", **fields: str) -> str:
        """A job of these pictures; its id."""
        files = [("files", (f"{seed}.png", picture(seed, (24, 16)), "image/png")) for seed in seeds]
        reply = await self.http.post(
            "/upload/batch", files=files, data=fields, headers={"Authorization": f"Bearer {self.keys[owner]}"}
        )
        assert reply.status_code == 202, reply.text
        self.jobs[name] = str(reply.json()["job_id"])
        return self.jobs[name]

    async def document(self, name: str, owner: str = "ann") -> dict[str, Any]:
        """A job's."""
        headers = {"Authorization": f"Bearer {self.keys[owner]}"}
        return dict((await self.http.get(f"/status/{self.jobs[name]}", headers=headers)).json())

    async def until(self, name: str, status: str, owner: str = "ann") -> dict[str, Any]:
        """Wait for all images of a job to be so."""
        async with asyncio.timeout(30):
            while True:
                document = await self.document(name, owner)
                if {image["status"] for image in document["images"]} == {status}:
                    return document
                await asyncio.sleep(0.02)

    def hold(self, start: bytes, *, answer: bool) -> Hold:
        """Hold the next request to FAL that begins so."""
        return self.gate.hold(lambda message: message.startswith(start), answer=answer)


async def finished_jobs(old: Old, receiver: str) -> None:
    """What has ended, in every way. The worker gives lost replies up at once."""
    await old.upload("succeeded", 1)
    await old.until("succeeded", "succeeded")
    await old.upload("reused", 1)
    await old.until("reused", "succeeded")
    await old.emulator.fault("422", count=1)
    await old.upload("failed", 3)
    await old.until("failed", "failed")
    await old.emulator.settings(lookup_lag=_HOUR)
    await old.emulator.fault("lookup_lag", rate=1)
    await old.emulator.fault("drop_after_accept", count=1)
    await old.upload("unconfirmed_failed", 4)
    await old.until("unconfirmed_failed", "failed")
    await old.upload("webhook", 5, webhook_url=receiver)
    await old.until("webhook", "succeeded")
    async with asyncio.timeout(20):
        while b'"tries":1' not in b"".join(await old.redis.hvals(key("deliveries", old.jobs["webhook"]))):
            await asyncio.sleep(0.02)


async def running_jobs(old: Old) -> None:
    """What is under way, each stopped where it is."""
    storing = old.hold(b"GET /files/", answer=True)
    await old.upload("storing", 6)
    await storing.reached.wait()
    await old.until("storing", "storing")
    await old.emulator.settings(latency=_HOUR, concurrency=2)
    await old.upload("generating", 7)
    await old.until("generating", "generating")
    await old.upload("parked", 7)
    await old.emulator.fault("drop_after_accept", count=1)
    await old.upload("unconfirmed", 8)
    image = (await old.document("unconfirmed"))["images"][0]["image_id"]
    async with asyncio.timeout(20):
        while not (await old.redis.hget(key("image", image), "posting_at")):
            await asyncio.sleep(0.02)
        while await old.redis.hget(key("image", image), "fence"):
            await asyncio.sleep(0.02)
    await old.upload("submitted", 9)
    await old.until("submitted", "submitted")
    preparing = old.hold(b"POST /files/upload", answer=False)
    await old.upload("preparing", 10)
    await preparing.reached.wait()
    admin = {"Authorization": f"Bearer {old.keys['boss']}"}
    (await old.http.post("/admin/queues/model_generation/pause", headers=admin)).raise_for_status()
    await old.upload("queued", 11, 12, owner="bob")
    cancelled = await old.upload("cancelled", 13, owner="bob")
    bob = {"Authorization": f"Bearer {old.keys['bob']}"}
    (await old.http.post(f"/jobs/{cancelled}/cancel", headers=bob)).raise_for_status()
    await old.until("cancelled", "cancelled", "bob")


async def at_fal(old: Old) -> dict[str, AtFal]:
    """The requests that FAL has, by the job's name."""
    names = {job_id: name for name, job_id in old.jobs.items()}
    found = {}
    for entry in (await old.emulator.ledger())["submissions"]:
        job_id = (await old.redis.hget(key("image", entry["tags"]["i2m.image"]), "job_id")).decode()
        found[names[job_id]] = AtFal(
            request_id=entry["request_id"], endpoint=MODEL, url=entry["input"]["image_url"]
        )
    return found


async def make(folder: Path, store: EmbeddedStore) -> None:
    """Write the fixture."""
    async with _running(folder, store.url) as (old, receiver):
        old.make_key("boss", "--role", "admin")
        old.make_key("ann", "--budget", "10.00/total", "--owner", "ann")
        old.make_key("bob", "--budget", "1.00/total", "--owner", "bob")
        first = old.start("worker", I2M_UNCONFIRMED_GRACE="0.5")
        await finished_jobs(old, receiver)
        first.send(signal.SIGTERM)
        assert await first.exit_code() == 0
        old.start("worker", I2M_UNCONFIRMED_GRACE="600")
        await running_jobs(old)
        for process in old.processes:
            process.send(signal.SIGKILL)
        head = Head(
            made_at=int(time.time() * 1000),
            fal=f"http://{_HOST}:{old.gate.port}",
            receiver=receiver,
            jobs=old.jobs,
            keys=old.keys,
            at_fal=await at_fal(old),
        )
        write(head, await keys_of(old.redis), files_of(folder / "files"))


@asynccontextmanager
async def _running(folder: Path, redis_url: str) -> AsyncIterator[tuple[Old, str]]:
    async with AsyncExitStack() as stack:
        config = Config(latency=0.2, grid=1, texture=4)
        emulator = await stack.enter_async_context(running_emulator(config))
        gate = await stack.enter_async_context(gate_to(emulator.url))
        receiver = await stack.enter_async_context(receiving(answering("500 Internal Server Error")))
        redis = await stack.enter_async_context(connect(redis_url))
        port = free_port(_HOST)
        environment = {
            **os.environ,
            "PYTHONPATH": str(await asyncio.to_thread(sources_of, OLD, folder / "old")),
            "I2M_REDIS_URL": redis_url,
            "I2M_STORAGE_URL": (folder / "files").as_uri(),
            "I2M_FAL_BASE_URL": f"http://{_HOST}:{gate.port}",
            "FAL_KEY": "test-id:test-secret",
            "I2M_PORT": str(port),
            "I2M_WEBHOOK_ALLOW_PRIVATE": "1",
            "I2M_LEASE_SECONDS": "2",
            "I2M_LOG_FORMAT": "json",
        }
        old = Old(folder, redis, emulator, gate, environment)
        api = old.start("api")
        async with asyncio.timeout(20):
            while '"ready"' not in api.log.read_text():
                await asyncio.sleep(0.02)
        old.http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://{_HOST}:{port}/api/v1", timeout=20)
        )
        try:
            yield old, receiver.url
        finally:
            for process in old.processes:
                await process.end()


def main() -> None:
    """Run it."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as name:
        folder = Path(name)
        store = EmbeddedStore(folder / "store", durable=False)
        store.start()
        try:
            asyncio.run(make(folder, store))
        finally:
            store.stop()
    sys.stdout.write(f"{PATH.name}: {PATH.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
