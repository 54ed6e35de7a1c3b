"""A fleet that reaches FAL and the store through gates: a test can stop time between two steps.

Used by the tests of the windows around the submit.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis

from image2model.store.scripts import Script
from tests.support.fleet import Fleet, fleet_on
from tests.support.gate import Gate, Hold, calls, gate_to
from tests.support.service_process import ServiceProcess

SCRIPTS = (
    "generation/write",
    "generation/commit_submission",
    "generation/step",
    "generation/book_cost",
    "generation/advance",
    "generation/await_confirmation",
    "jobs/create_job",
    "fetching/note_fetched",
    "fetching/finish_fetch",
    "fetching/fail_fetch",
)


class Stage:
    """A fleet behind gates."""

    def __init__(self, fleet: Fleet, fal: Gate, store: Gate) -> None:
        self.fleet = fleet
        self.fal = fal
        self.store = store

    def start_worker(self, **settings: str) -> ServiceProcess:
        """A worker that goes through the gates."""
        return self.fleet.start_worker(**self.settings(), **settings)

    def settings(self) -> dict[str, str]:
        """Where a process finds FAL and the store."""
        return {
            "I2M_REDIS_URL": f"redis://127.0.0.1:{self.store.port}",
            "I2M_FAL_BASE_URL": f"http://127.0.0.1:{self.fal.port}",
        }

    def window(self, name: str) -> Hold:
        """Hold the first image in one of the windows around its submit."""
        if name == "before the mark":
            return self.store.hold(calls("generation/write", b"posting_at"), answer=False)
        if name == "between mark and POST":
            return self.store.hold(calls("generation/write", b"posting_at"), answer=True)
        if name == "accepted, before the reply":
            return self.fal.hold(lambda message: message.startswith(b"POST /tripo3d/"), answer=True)
        return self.store.hold(calls("generation/commit_submission"), answer=name == "after the commit")


@asynccontextmanager
async def taking_no_writes(redis: Redis) -> AsyncIterator[None]:
    """The store is as one that has lost its master: it answers, and takes nothing."""
    await redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        await redis.execute_command("REPLICAOF", "NO", "ONE")


async def not_heard(worker: ServiceProcess) -> None:
    """Wait until the worker could not tell the store how something ended."""
    async with asyncio.timeout(20):
        while '"outcome_not_stored"' not in worker.log.read_text():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def stage_on(redis_url: str, folder: Path, store_url: str) -> AsyncIterator[Stage]:
    """`redis_url` is the test's own way to the store, `store_url` what is behind the gate."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(gate_to(store_url))
        fleet = await stack.enter_async_context(fleet_on(redis_url, folder))
        fal = await stack.enter_async_context(gate_to(fleet.emulator.url))
        for name in SCRIPTS:
            await fleet.redis.script_load(Script(name).load())
        try:
            yield Stage(fleet, fal, store)
        finally:
            for worker in fleet.workers:
                await worker.end()
