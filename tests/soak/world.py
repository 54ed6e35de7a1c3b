"""The service of a soak: a durable store, one API, one worker, the emulator, with the settings of production.

Who calls it: the driver. Only the retention is shorter, so that as much expires as comes in and a store that
does its work stays as large as it is.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from tests.bench.world import MALLOC
from tests.chaos.slot import Slot
from tests.support.crashing_store import CrashingStore
from tests.support.emulator_process import KEY, EmulatorProcess, emulator_process
from tests.support.ports import free_ports

ADMIN_KEY = "soak-admin-key-of-one-run"
_FAULTS = ("422=0.02", "500=0.01")
"""Some images fail at once, and some only after another attempt: both kinds are there to be retried."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how much. `minutes` and `settle` (from when on all must be flat) in minutes, `rate` in
    images a minute, `every` (between two readings), `latency` (of FAL) and `retention` in seconds; `allowed`:
    the rise that is still flat, 0.05 for 5 %."""

    minutes: float = 30.0
    rate: float = 200.0
    settle: float = 5.0
    seed: int = 0
    owners: int = 4
    every: float = 5.0
    latency: float = 2.0
    retention: float = 90.0
    allowed: float = 0.05


class World:
    """All parts, running. `slots` by the name of the process."""

    def __init__(self, size: Size, folder: Path, store: CrashingStore, emulator: EmulatorProcess) -> None:
        self.size = size
        self.folder = folder
        self.store = store
        self.emulator = emulator
        port, metrics_port = free_ports(2)
        self.base = f"http://127.0.0.1:{port}"
        self.metrics = {
            "api": f"{self.base}/metrics",
            "worker": f"http://127.0.0.1:{metrics_port}/metrics",
        }
        shared = {
            **os.environ,
            **MALLOC,
            "I2M_REDIS_URL": store.url,
            "I2M_STORAGE_URL": (folder / "files").as_uri(),
            "I2M_FAL_BASE_URL": emulator.url,
            "FAL_KEY": KEY,
            "I2M_ADMIN_KEY": ADMIN_KEY,
            "I2M_MODELS": "*",
            "I2M_FAL_CONCURRENCY": "100",
            "I2M_JOB_TTL": f"{size.retention}s",
            "I2M_LOG_FORMAT": "json",
            "I2M_LOG_LEVEL": "info",
        }
        self.slots = {
            "api": Slot("api", 0, {**shared, "I2M_PORT": str(port)}, folder),
            "worker": Slot("worker", 0, {**shared, "I2M_WORKER_METRICS_PORT": str(metrics_port)}, folder),
        }

    def pids(self) -> dict[str, int]:
        """Every process by its name. Raises RuntimeError where one has ended."""
        found = {name: slot.pid for name, slot in self.slots.items()}
        found |= {"store": self.store.pid, "emulator": self.emulator.pid}
        running = {name: pid for name, pid in found.items() if pid is not None}
        if gone := found.keys() - running.keys():
            raise RuntimeError(f"ended by itself: {', '.join(sorted(gone))}; the logs are in {self.folder}")
        return running

    async def until_ready(self) -> None:
        """The API and the worker work."""
        try:
            async with asyncio.timeout(60):
                while not all(slot.is_ready for slot in self.slots.values()):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not ready after a minute; the logs are in {self.folder}") from None


@asynccontextmanager
async def world_in(folder: Path, size: Size) -> AsyncIterator[World]:
    """A running world; at the end every process has ended, and no log holds a secret."""
    async with AsyncExitStack() as stack:
        flags = ["--latency", f"{size.latency}s", "--concurrency", "100", "--seed", str(size.seed)]
        flags += ["--memory", "64", "--result-ttl", f"{size.retention}s"]
        flags += [part for fault in _FAULTS for part in ("--fault", fault)]
        emulator = stack.enter_context(emulator_process(*flags))
        store = CrashingStore(folder / "store")
        await store.start()
        stack.callback(store.stop)
        world = World(size, folder, store, emulator)
        keeping = [asyncio.create_task(slot.run()) for slot in world.slots.values()]
        try:
            await world.until_ready()
            yield world
        finally:
            await asyncio.gather(*(slot.end() for slot in world.slots.values()))
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            for slot in world.slots.values():
                slot.watch.check()
