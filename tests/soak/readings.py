"""Reads what each process holds: memory, handles, threads, asyncio tasks; of the store also its data.

Who calls it: the driver, every few seconds. All of it is a `Record`, which the verdict and the plot read and
which is kept as JSON.
"""

import asyncio
import time
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
from redis.asyncio import Redis

from tests.bench import machine
from tests.soak.world import Size, World

_GAUGE: Final = "image2model_event_loop_tasks{"
UNITS: Final = {
    "memory": "MiB",
    "data": "MiB",
    "handles": "",
    "threads": "",
    "tasks": "",
    "keys": "",
}
"""What is read, with its unit. `memory` is resident, of a process and its children; `data` is what the store
says it uses, `handles` are open file descriptors, `keys` those of the store."""


class Record(msgspec.Struct, kw_only=True):
    """A whole run. `seconds`: when each reading was made, since the start; `load`: the machine's then;
    `series`: process -> what -> its values; `counts`: what the clients did; `faults`: what else was wrong."""

    size: Size
    machine: str
    seconds: list[float] = []
    load: list[float] = []
    series: dict[str, dict[str, list[float]]] = {}
    counts: dict[str, int] = {}
    faults: list[str] = []

    def add(self, second: float, load: float, found: dict[str, dict[str, float]]) -> None:
        """One more reading of everything."""
        self.seconds.append(round(second, 1))
        self.load.append(load)
        for process, values in found.items():
            kept = self.series.setdefault(process, {})
            for what, value in values.items():
                kept.setdefault(what, []).append(round(value, 2))


class Reader:
    """Reads into `record`, which is written to `path` after each reading: an aborted run is kept too."""

    def __init__(self, world: World, http: aiohttp.ClientSession, redis: Redis, path: Path) -> None:
        self.record = Record(size=world.size, machine=machine.describe())
        self._world = world
        self._http = http
        self._redis = redis
        self._path = path

    async def run(self) -> None:
        """Until cancelled. Raises RuntimeError where a process has ended."""
        begun = time.monotonic()
        while True:
            found = await self.read()
            self.record.add(time.monotonic() - begun, machine.load(), found)
            self._path.write_bytes(msgspec.json.encode(self.record))
            await asyncio.sleep(self._world.size.every)

    async def read(self) -> dict[str, dict[str, float]]:
        """What every process holds now: process -> what -> its value."""
        found = {name: _of_process(pid) for name, pid in self._world.pids().items()}
        for name, url in self._world.metrics.items():
            found[name]["tasks"] = await self._tasks(url)
        found["emulator"]["tasks"] = await self._tasks_of_emulator()
        info = await self._redis.info("memory")
        found["store"] |= {"data": info["used_memory"] / 2**20, "keys": await self._redis.dbsize()}
        return found

    async def _tasks(self, url: str) -> float:
        async with self._http.get(url) as reply:
            lines = (await reply.text()).splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(_GAUGE))

    async def _tasks_of_emulator(self) -> float:
        async with self._http.get(f"{self._world.emulator.url}/_emulator/health") as reply:
            return float((await reply.json())["tasks"])


def _of_process(pid: int) -> dict[str, float]:
    return {
        "memory": machine.tree_mib(pid),
        "handles": _entries(pid, "fd"),
        "threads": _entries(pid, "task"),
    }


def _entries(pid: int, folder: str) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/{folder}").iterdir())
