"""One soak, from an empty store to the record of it.

Who calls it: the command line and the suite's own test.
"""

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import aiohttp

from image2model.store.connection import connect
from tests.chaos.supervision import Supervisor
from tests.soak.ageing import age, fill_history
from tests.soak.customer import Customer
from tests.soak.readings import Reader, Record
from tests.soak.world import ADMIN_KEY, Size, World, world_in
from tests.support.secrecy import LEDGER

_FORGET_S: Final = 30.0
_DRAIN_S: Final = 300.0
"""How long what was begun may take to end when nothing more comes."""
_POOLED: Final = 8.0
"""Tasks that a process begins at its first job and keeps: readers of pooled connections."""


async def run(folder: Path, size: Size, path: Path) -> Record:
    """Do it all. The record is at `path` too, while it grows."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(world_in(folder, size))
        admin = await stack.enter_async_context(_session(ADMIN_KEY))
        redis = await stack.enter_async_context(connect(world.store.url))
        reader = Reader(world, admin, redis, path)
        customers = []
        for number in range(size.owners):
            key, owner = await _new_key(admin, world.base, number)
            await fill_history(redis, owner)
            session = await stack.enter_async_context(_session(key))
            customers.append(Customer(session, world.base, size, number))
        supervisor = Supervisor()
        try:
            supervisor.lasting("the reader", reader.run())
            supervisor.lasting("time", age(redis, size.retention))
            supervisor.lasting("the emulator's book-keeper", _forget_ledger(world, admin))
            for number, customer in enumerate(customers):
                supervisor.lasting(f"customer {number}", customer.run())
                for listener in customer.listeners:
                    supervisor.lasting(listener.name, listener.run())
            await _until(supervisor, size.minutes * 60)
        finally:
            await supervisor.end()
        if not supervisor.faults:
            reader.record.faults += await _left_over(reader)
    record = reader.record
    record.counts = dict(sum((customer.counts for customer in customers), Counter[str]()))
    record.faults += supervisor.faults
    record.faults += [fault for customer in customers for fault in customer.faults()]
    record.faults += [fault for slot in world.slots.values() for fault in _complaints(slot.log)]
    return record


async def _until(supervisor: Supervisor, seconds: float) -> None:
    """Wait so long, or until a part has stopped: the rest of the run would show nothing."""
    await asyncio.wait(supervisor.tasks.values(), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


async def _left_over(reader: Reader) -> list[str]:
    """Wait until no process has more tasks than before the load; a sentence for each that keeps some."""
    before = {name: series["tasks"][0] for name, series in reader.record.series.items() if "tasks" in series}
    deadline = time.monotonic() + _DRAIN_S
    while True:
        now = {name: values["tasks"] for name, values in (await reader.read()).items() if name in before}
        kept = {name for name in before if now[name] > before[name] + _POOLED}
        if not kept or time.monotonic() > deadline:
            return [
                f"{name} has {now[name]:.0f} tasks without load, and had {before[name]:.0f}" for name in kept
            ]
        await asyncio.sleep(1)


async def _forget_ledger(world: World, http: aiohttp.ClientSession) -> None:
    """The emulator's ledger keeps each submission until it is cleared: that is its purpose, and no leak."""
    while True:
        async with http.delete(f"{world.emulator.url}/_emulator/ledger") as reply:
            reply.raise_for_status()
        await asyncio.sleep(_FORGET_S)


def _session(key: str) -> aiohttp.ClientSession:
    headers = {"Authorization": f"Bearer {key}"}
    return aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0))


async def _new_key(admin: aiohttp.ClientSession, base: str, number: int) -> tuple[str, str]:
    """A key and its owner."""
    body = {"name": f"owner {number}", "rate": "1000/min"}
    async with admin.post(f"{base}/api/v1/admin/keys", json=body) as reply:
        assert reply.status == 201, await reply.text()
        document = await reply.json()
    LEDGER.note(document["key"])
    return str(document["key"]), str(document["owner"])


def _complaints(log: Path) -> list[str]:
    """What a process of ours logged as an error."""
    return [line[:500] for line in log.read_text().splitlines() if '"level":"error"' in line.replace(" ", "")]
