"""Rows: what an image costs the store: commands, bytes that stay, bytes of the append-only file.

Who calls it: the bench. The pictures come over HTTP, so what an upload costs is in it. Commands are those
that the store has run, inside scripts too: a call of a script is one, and each that it makes is one more.
What is kept is counted once the jobs are settled, as they are ten minutes after their end: it stays for days.
"""

import asyncio

import msgspec
from redis.asyncio import Redis

from tests.bench import pictures, product
from tests.bench.row import Row, beside_baseline
from tests.bench.world import World, post_batch, world
from tests.support.ports import free_port

_FAL_S = 2.0
_BATCH = 25
SETTLE_S = 5.0
"""Bookings and the ends of batches come after the last model."""


class Kept(msgspec.Struct, frozen=True):
    """The store's own figures so far: commands, bytes of data, bytes of the append-only file."""

    commands: int
    data: int
    written: int


def run(quick: bool) -> list[Row]:
    """Three rows, each for one image."""
    count = 100 if quick else 1000
    before, after, settled = asyncio.run(_measure(count))
    name, kept = f"store, an image of {count:,}", (after.data - before.data) / count
    return [
        beside_baseline(f"{name}: commands", (after.commands - before.commands) / count, 0.5, "commands"),
        beside_baseline(
            f"{name}: kept once its job is settled",
            (settled.data - before.data) / count,
            0.33,
            "B",
            against=f"{kept:.0f} B until then",
        ),
        beside_baseline(f"{name}: append-only file", (after.written - before.written) / count, 0.5, "B"),
    ]


async def read(redis: Redis) -> Kept:
    """The figures now. What clients, scripts and the file's own buffers take is not data."""
    calls = await redis.info("commandstats")
    memory = await redis.info("memory")
    persistence = await redis.info("persistence")
    beside = (
        "mem_clients_normal",
        "mem_clients_slaves",
        "mem_aof_buffer",
        "used_memory_scripts",
        "used_memory_vm_total",
    )
    return Kept(
        commands=sum(int(one["calls"]) for one in calls.values()),
        data=int(memory["used_memory"]) - sum(int(memory.get(name, 0)) for name in beside),
        written=int(persistence["aof_current_size"]),
    )


async def _measure(count: int) -> tuple[Kept, Kept, Kept]:
    async with world() as all_of_it:
        all_of_it.emulator.settings(latency=_FAL_S)
        port = free_port()
        await all_of_it.api(port)
        await all_of_it.worker()
        await _make(all_of_it, port, _BATCH, first=0)
        before = await read(all_of_it.redis)
        await _make(all_of_it, port, count, first=_BATCH)
        after = await read(all_of_it.redis)
        await product.settle(all_of_it.redis)
        return before, after, await read(all_of_it.redis)


async def _make(all_of_it: World, port: int, count: int, *, first: int) -> None:
    """So many pictures by HTTP, waited for with few questions, since those cost commands too."""
    made = pictures.small(first + count)[first:]
    bodies = [pictures.batch(made[start : start + _BATCH]) for start in range(0, count, _BATCH)]
    job_ids = [(await asyncio.to_thread(post_batch, port, body))[0] for body in bodies]
    await all_of_it.finish(job_ids, every_s=1.0)
    await asyncio.sleep(SETTLE_S)
