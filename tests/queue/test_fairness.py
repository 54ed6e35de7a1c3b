"""The queue between keys: whoever asks for little does not wait behind whoever asked for much."""

from redis.asyncio import Redis

from image2model.queue import leases
from image2model.store.keys import Queue, key
from tests.support.jobs import create_job


async def picked_owners(redis: Redis, count: int) -> list[str]:
    """The owners of the next images, picked one by one, as permits come free one by one."""
    owners = []
    for _ in range(count):
        (claim,) = (
            await leases.pick(
                redis, Queue.GENERATION, "w", free=1, reserve=0, lease_s=600.0, max_permits=10_000
            )
        ).claims
        owners.append((await redis.hget(key("image", claim.task_id), "owner")).decode())
    return owners


async def test_ten_images_behind_2500_of_another_get_every_second_permit(redis: Redis) -> None:
    await create_job(redis, 2500, "crowd")
    await picked_owners(redis, 100)
    await create_job(redis, 10, "ann")
    owners = await picked_owners(redis, 20)
    for pairs in range(1, 11):
        assert owners[: 2 * pairs].count("ann") >= pairs


async def test_two_small_keys_share_with_the_crowd(redis: Redis) -> None:
    await create_job(redis, 500, "crowd")
    await picked_owners(redis, 10)
    await create_job(redis, 6, "ann")
    await create_job(redis, 6, "bob")
    owners = await picked_owners(redis, 19)
    assert (owners.count("ann"), owners.count("bob")) == (6, 6)


async def test_coming_again_and_again_gains_nothing(redis: Redis) -> None:
    await create_job(redis, 100, "crowd")
    for _ in range(20):
        await create_job(redis, 5, "pusher")
    owners = await picked_owners(redis, 40)
    assert abs(owners.count("crowd") - owners.count("pusher")) <= 2
