"""What the tests ask of FAL's endpoints. Who calls it: tests of the store, the worker and the API."""

from redis.asyncio import Redis

from image2model.queue import fleet
from image2model.queue.circuits import EndpointState
from image2model.store.keys import Queue


async def open_circuits(redis: Redis) -> tuple[EndpointState, ...]:
    """The endpoints whose circuit is open."""
    return (await fleet.read(redis)).endpoints


async def generation_pauses(redis: Redis) -> tuple[str, ...]:
    """Why generations are paused."""
    state = await fleet.read(redis)
    return next(queue.paused for queue in state.queues if queue.queue == Queue.GENERATION)
