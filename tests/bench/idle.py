"""Rows: a service with nothing to do: what it asks the store, and the memory of its processes.

Who calls it: the bench. One API, one worker, and the emulator of the revision that is measured.
"""

import asyncio

import msgspec

from tests.bench import machine
from tests.bench.row import Row, at_most, beside_baseline
from tests.bench.store_cost import read
from tests.bench.world import world
from tests.support.ports import free_port

_SETTLE_S = 10.0


class _Idle(msgspec.Struct, frozen=True):
    """Commands a second, and MiB of resident memory by process."""

    commands: float
    memory: dict[str, float]


def run(quick: bool) -> list[Row]:
    """Four rows."""
    found = asyncio.run(_measure(5.0 if quick else 30.0))
    return [
        at_most("idle: commands of the store a second", found.commands, 20, "a second"),
        *(
            beside_baseline(f"idle: RSS of the {name}", mib, 0.75, "MiB")
            for name, mib in found.memory.items()
        ),
    ]


async def _measure(seconds: float) -> _Idle:
    async with world(own_emulator=True) as all_of_it:
        api = await all_of_it.api(free_port())
        worker = await all_of_it.worker()
        await asyncio.sleep(_SETTLE_S)  # the work of a start: the list of models, the first sweeps
        before = (await read(all_of_it.redis)).commands
        await asyncio.sleep(seconds)
        asked = (await read(all_of_it.redis)).commands - before
        pids = {"API": api.pid, "worker": worker.pid, "emulator": all_of_it.emulator.pid}
        return _Idle(asked / seconds, {name: machine.resident_mib(pid) for name, pid in pids.items()})
