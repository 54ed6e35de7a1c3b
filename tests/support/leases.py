"""Claims of a fleet with few permits and short leases, for tests that reach these limits."""

from redis.asyncio import Redis

from image2model.queue import leases
from image2model.store.keys import Queue


async def pick(redis: Redis, worker: str = "w1", free: int = 10, **options: float) -> list[leases.Claim]:
    """Claim waiting images as a worker does. A lease lasts five seconds."""
    settings = {"reserve": 100, "lease_s": 5.0, "max_permits": 100} | options
    return (await leases.pick(redis, Queue.GENERATION, worker, free=free, **settings)).claims  # type: ignore[arg-type]
