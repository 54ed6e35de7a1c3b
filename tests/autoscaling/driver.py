"""One autoscaled day, from an empty store to the record of it.

Who calls it: the command line and the suite's own test.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import aiohttp
from redis.asyncio import Redis

from image2model.store.keys import Queue, key
from tests.autoscaling.autoscaler import Autoscaler
from tests.autoscaling.customers import Customers
from tests.autoscaling.day import HOUR_S, Upload, uploads
from tests.autoscaling.record import Reading, Record, Size
from tests.autoscaling.scaled_object import Rules, rules
from tests.autoscaling.world import World, interval, world_in
from tests.bench import machine
from tests.chaos.listener import Listener, Manner
from tests.chaos.supervision import Supervisor
from tests.support.prometheus import Prometheus
from tests.support.wait import until

_DRAIN_S: Final = 300.0
"""How long what was accepted may take to end when nothing more comes."""
AtEnd = Callable[[Prometheus, float, float], list[str]]
"""Called while everything runs yet, with the day's begin and end by the wall clock; returns faults."""


async def run(folder: Path, size: Size, at_end: AtEnd | None = None) -> Record:
    """Do it all."""
    given = rules(nights=size.nights)
    day = [one for one in uploads(size.seed, size.one_in) if one.at < size.until * HOUR_S]
    async with world_in(folder, size, given) as world, aiohttp.ClientSession() as http:
        record = Record(size=size, machine=machine.describe(), slots=world.slots)
        record.uploads = [(one.at, one.files) for one in day]
        customers, supervisor = Customers(world, http), Supervisor()
        page = Listener(http, "events", Manner(itertools.repeat(world.base)), name="a page's stream")
        world.replicas.scale(given.minimum)
        await until(lambda: _has_value(world, given), timeout=60)
        begun = time.time()
        try:
            supervisor.lasting("the autoscaler", _scale(world, size, given, record, begun))
            supervisor.lasting(page.name, page.run())
            await _upload(customers, supervisor, size, day, begun)
            await customers.until_all_ended(_DRAIN_S)
            record.seconds = time.time() - begun
            await until(lambda: _has_value(world, given, 0), timeout=60)
            if at_end is not None:
                record.faults += await asyncio.to_thread(at_end, world.prometheus, begun, time.time())
        finally:
            await supervisor.end()
        record.images = customers.images(begun, size.factor)
        await world.replicas.end()
        record.starts = world.replicas.starts
        record.faults += [*supervisor.faults, *customers.faults, *page.faults, *world.replicas.faults]
    return record


async def _has_value(world: World, given: Rules, value: float | None = None) -> bool:
    """Whether Prometheus knows one, or this one."""
    found = [one for _, one in await asyncio.to_thread(world.prometheus.query, given.query)]
    return bool(found) if value is None else found == [value]


async def _upload(
    customers: Customers, supervisor: Supervisor, size: Size, day: list[Upload], begun: float
) -> None:
    """Each upload at its time; nobody waits for another one's answer."""
    sent = []
    for number, one in enumerate(day):
        await asyncio.sleep(max(0.0, begun + one.at / size.factor - time.time()))
        sent.append(supervisor.finite(f"upload {number}", customers.upload(number, one)))
    await asyncio.sleep(max(0.0, begun + size.until * HOUR_S / size.factor - time.time()))
    await asyncio.gather(*sent)


async def _scale(world: World, size: Size, given: Rules, record: Record, begun: float) -> None:
    """Until cancelled: ask Prometheus, decide, start and stop. The decisions are made in the day's own time
    and in its own numbers, so that nothing of the rules is changed."""
    scaler = Autoscaler(given)
    while True:
        found = await asyncio.to_thread(world.prometheus.query, given.query)
        value = found[0][1] * size.one_in if found else None
        at, replicas = (time.time() - begun) * size.factor, world.replicas.count
        wanted = scaler.decide(at, value, replicas)
        busy, in_hand = await _busy(world.fleet.redis)
        record.readings.append(
            Reading(at, value, wanted, replicas, world.replicas.living, busy, in_hand, machine.load())
        )
        world.replicas.scale(wanted)
        await asyncio.sleep(interval(size, given))


async def _busy(redis: Redis) -> tuple[int, int]:
    """How many workers have images in their hands, and how many images: by the leases, whose tokens begin
    with the worker's id. A heartbeat would say so too, but only every five seconds."""
    leased = await redis.zrangebyscore(key("leases", Queue.GENERATION), time.time() * 1000, "+inf")
    pipe = redis.pipeline(transaction=False)
    for image_id in leased:
        pipe.hget(key("image", image_id.decode()), "fence")
    tokens = [token.decode() for token in await pipe.execute() if token]
    return len({token.rsplit(":", 2)[0] for token in tokens}), len(tokens)
