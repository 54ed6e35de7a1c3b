"""The world of a run: a durable store, the emulator, storage, and the slots of the fleet.

Who calls it: the driver. Everything lives in one folder and on loopback, and is gone at the end.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from tests.chaos.slot import Slot
from tests.support.crashing_store import CrashingStore
from tests.support.emulator_process import KEY, EmulatorProcess, emulator_process
from tests.support.ports import free_ports
from tests.support.processes import is_gone

SEND_TIMEOUT_S = 4.0
"""How long the service waits for a client of a stream that does not read."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How large a run is. Times in seconds."""

    images: int
    workers: int
    apis: int
    kills: int
    seed: int
    duration: float
    latency: float = 1.5
    lease: float = 3.0
    grace: float = 15.0
    drain: float = 180.0
    busy: int = 0
    patience: float = 1.6
    """Times the duration: where the kills take longer, the machine was too busy to prove anything."""
    without: frozenset[str] = frozenset()

    @property
    def longest(self) -> float:
        """Seconds that no run may take."""
        return 2 * self.duration * self.patience + 2 * self.drain + 120


class World:
    """All parts, running."""

    def __init__(self, size: Size, folder: Path, store: CrashingStore, emulator: EmulatorProcess) -> None:
        self.size = size
        self.folder = folder
        self.store = store
        self.emulator = emulator
        self.files = folder / "files"
        self.keeping: list[tuple[Slot, asyncio.Task[None]]] = []
        ports = free_ports(size.apis)
        self.bases = [f"http://127.0.0.1:{port}" for port in ports]
        shared = {**os.environ, **self._settings()}
        self.workers = [Slot("worker", number, shared, folder) for number in range(size.workers)]
        self.apis = [
            Slot("api", number, {**shared, "I2M_PORT": str(port)}, folder)
            for number, port in enumerate(ports)
        ]

    @property
    def slots(self) -> list[Slot]:
        """Every process of ours but the store."""
        return [*self.workers, *self.apis]

    def _settings(self) -> dict[str, str]:
        return {
            "I2M_REDIS_URL": self.store.url,
            "I2M_STORAGE_URL": self.files.as_uri(),
            "I2M_FAL_BASE_URL": self.emulator.url,
            "FAL_KEY": KEY,
            "I2M_PUBLIC_URL": self.bases[0],
            "I2M_AUTH": "none",
            "I2M_MODELS": "*",
            "I2M_LEASE_SECONDS": str(self.size.lease),
            "I2M_UNCONFIRMED_GRACE": str(self.size.grace),
            "I2M_SHUTDOWN_GRACE": "5",
            "I2M_MAX_CONCURRENT": "400",
            "I2M_FAL_CONCURRENCY": "400",
            "I2M_WORKER_CONCURRENCY": "60",
            "I2M_SSE_SEND_TIMEOUT": str(SEND_TIMEOUT_S),
            "I2M_LOG_FORMAT": "json",
            "I2M_LOG_LEVEL": "info",
        }

    def watches(self) -> list[tuple[str, Coroutine[None, None, None]]]:
        """What must go on for as long as the world does, by name."""
        return [
            *((f"the keeper of {slot.name}", _wait_for(task)) for slot, task in self.keeping),
            ("the store", self.store.watch()),
            ("the emulator", _watch_process(self.emulator.pid)),
        ]

    async def until_ready(self) -> None:
        """Every slot works."""
        try:
            async with asyncio.timeout(60):
                while not all(slot.is_ready for slot in self.slots):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            down = [slot.name for slot in self.slots if not slot.is_ready]
            raise AssertionError(
                f"not ready after a minute: {down}; their logs are in {self.folder}"
            ) from None

    async def fal_fault(self, http: aiohttp.ClientSession, rule: dict[str, object]) -> None:
        """Tell the emulator of a fault."""
        async with http.post(f"{self.emulator.url}/_emulator/faults", json=rule) as reply:
            reply.raise_for_status()

    async def fal_is_well(self, http: aiohttp.ClientSession) -> None:
        """No faults at FAL any more."""
        async with http.delete(f"{self.emulator.url}/_emulator/faults") as reply:
            reply.raise_for_status()


async def _wait_for(task: asyncio.Task[None]) -> None:
    """Its end, whose reason comes through; it is not cancelled with us."""
    await asyncio.shield(task)


async def _watch_process(pid: int) -> None:
    """Until cancelled. Raises RuntimeError where our child has ended."""
    while True:
        if is_gone(pid):
            raise RuntimeError(f"process {pid} ended by itself")
        await asyncio.sleep(0.2)


@asynccontextmanager
async def world_in(folder: Path, size: Size) -> AsyncIterator[World]:
    """A running world; at the end every process has ended."""
    async with AsyncExitStack() as stack:
        flags = ("--latency", f"{size.latency}s", "--concurrency", "1000", "--seed", str(size.seed))
        emulator = stack.enter_context(
            emulator_process(*flags, "--lookup-lag", f"{size.grace / 3}s", "--webhook-attempts", "6")
        )
        store = CrashingStore(folder / "store")
        await store.start()
        stack.callback(store.stop)
        world = World(size, folder, store, emulator)
        world.keeping = [(slot, asyncio.create_task(slot.run())) for slot in world.slots]
        try:
            await world.until_ready()
            yield world
        finally:
            await asyncio.gather(*(slot.end() for slot in world.slots))
            for _, task in world.keeping:
                task.cancel()
            await asyncio.gather(*(task for _, task in world.keeping), return_exceptions=True)
            for slot in world.slots:
                slot.watch.check()
