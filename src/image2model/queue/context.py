"""What the queue's loops and all tasks of a worker process share."""

from redis.asyncio import Redis

from image2model.fal.gateway import FalGateway
from image2model.queue import circuits
from image2model.queue.activity import Activity
from image2model.queue.permits import PermitQueue
from image2model.queue.posts_first import PostsFirst
from image2model.queue.running import RunningTasks
from image2model.queue.waking import Waking
from image2model.queue.window import FalConcurrency
from image2model.settings import Settings


class QueueContext:
    """The shared parts. `refused_endpoints`: the endpoints that this process knows to have an open circuit;
    `pace`: how they are probed."""

    def __init__(self, settings: Settings, redis: Redis, fal: FalGateway) -> None:
        self.settings = settings
        self.redis = redis
        self.fal = fal
        self.running = RunningTasks()
        self.activity = Activity(redis)
        self.waking = Waking()
        self.posts = PostsFirst()
        self.permits = PermitQueue(
            redis,
            self.posts,
            max_permits=settings.max_concurrent,
            slots=settings.worker_concurrency,
            concurrency=FalConcurrency.of(settings),
        )
        self.refused_endpoints: set[str] = set()
        self.pace = circuits.PACE

    def close(self) -> None:
        """Stop requesting permits."""
        self.permits.close()
        self.posts.close()
