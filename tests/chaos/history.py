"""What really happened, as each job's own history tells it.

Who calls it: the driver, when every image has ended.
"""

from collections import Counter, defaultdict
from itertools import groupby
from typing import NamedTuple

from redis.asyncio import Redis

from image2model.events import history
from tests.chaos.listener import FINAL, State


class Change(NamedTuple):
    """One state of an image, and the job's version with which it came."""

    version: int
    state: State


class JobHistory(NamedTuple):
    """All states of each image in their order, and the versions at which the job was complete."""

    images: dict[str, list[Change]]
    completed: list[int]
    gap: bool

    def outcomes(self) -> Counter[tuple[str, int, str]]:
        """Every end of an attempt: image, attempt, status. A cost that is booked later changes no end."""
        return Counter(
            (image_id, attempt, status)
            for image_id, changes in self.images.items()
            for (attempt, status), _ in groupby((c.state.attempt, c.state.status) for c in changes)
            if status in FINAL
        )


async def history_of(redis: Redis, job_id: str) -> JobHistory:
    """A job's history. `gap`: a version has no event, so this is not all of it."""
    images: defaultdict[str, list[Change]] = defaultdict(list)
    completed: list[int] = []
    found = await history.of_job(redis, job_id, 0)
    for event in found:
        if isinstance(event.body, history.ImageChanged):
            image = event.body.image
            state = State(image.status.value, image.attempt, image.queue_position)
            images[image.image_id].append(Change(event.version, state))
        else:
            completed.append(event.version)
    gap = [event.version for event in found] != list(range(1, len(found) + 1))
    return JobHistory(dict(images), completed, gap)
