"""What really happened, as each job's own history tells it.

Who calls it: the driver, when every image has ended.
"""

from collections import Counter

from redis.asyncio import Redis

from image2model.store import events
from tests.chaos.listener import FINAL, Outcome


async def outcomes(redis: Redis, job_id: str) -> Counter[Outcome]:
    """Every end of an attempt in a job's history."""
    told: Counter[Outcome] = Counter()
    for event in await events.of_job(redis, job_id, 0):
        if isinstance(event.body, events.ImageChanged) and event.body.image.status.value in FINAL:
            image = event.body.image
            told[Outcome(image.image_id, image.attempt, image.status.value)] += 1
    return told
