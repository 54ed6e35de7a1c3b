"""Rows: event streams, under a crowd beside plain ASGI, and for a hundred beside Redis pub/sub alone.

Who calls it: the bench; `tests.bench.sse` measures.
"""

import argparse
import asyncio
import json
import statistics
import time

import uvloop
from redis.asyncio import Redis

from tests.bench import sse
from tests.bench.product import connect
from tests.bench.row import Row, at_most, ratio_at_most
from tests.bench.world import durable_store

_CHANNEL = "bench"


def run(quick: bool) -> list[Row]:
    """Three rows under the crowd, one for its absence."""
    size = 1_000 if quick else 10_000
    crowd = argparse.Namespace(subscribers=size, jobs=100, rate=20.0, seconds=5.0 if quick else 20.0)
    plain = uvloop.run(sse.raw(crowd))
    ours = uvloop.run(sse.relay(crowd))
    name = f"SSE, {size:,} subscribers, 20 events/s over 100 jobs"
    lag, lag_raw = float(str(ours["p99_ms"])), float(str(plain["p99_ms"]))
    return [
        ratio_at_most(f"{name}: p99 lag", lag, lag_raw, 1.25, "ms"),
        at_most(
            f"{name}: memory",
            float(str(ours["kib_per_subscriber"])),
            16,
            "KiB each",
            against=f"{plain['kib_per_subscriber']} KiB each",
        ),
        at_most(f"{name}: lost", float(str(ours["lost"])), 0, "events"),
        _latency(3.0 if quick else 10.0),
    ]


def _latency(seconds: float) -> Row:
    few = argparse.Namespace(subscribers=100, jobs=1, rate=20.0, seconds=seconds)
    ours = uvloop.run(sse.relay(few))
    alone = uvloop.run(_pubsub_p50_ms(round(20 * seconds)))
    return at_most(
        "worker's event to the client's socket, 100 subscribers: p50",
        float(str(ours["p50_ms"])),
        5,
        "ms",
        against=f"{alone:.3g} ms, Redis pub/sub alone",
    )


async def _pubsub_p50_ms(count: int) -> float:
    with durable_store() as (store, _):
        async with connect(store.url) as redis, redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(_CHANNEL)
            publishing = asyncio.create_task(_publish(redis, count))
            lags: list[float] = []
            while len(lags) < count:
                message = await pubsub.get_message(timeout=5)
                if message is not None:
                    lags.append((time.monotonic_ns() - json.loads(message["data"])) / 1e6)
            await publishing
    return statistics.median(lags)


async def _publish(redis: Redis, count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0.05)
        await redis.publish(_CHANNEL, str(time.monotonic_ns()))
