"""What every task of a worker process shares, opened once at its start.

Who calls it: the process makes it, the tasks get it with each call.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from redis.asyncio import Redis

from image2model.fal.gateway import FalGateway
from image2model.settings import Settings
from image2model.storage.objects import ObjectStorage
from image2model.worker.running import RunningImages

_FETCHES: Final = 16
"""Results held in memory at once."""


class WorkerContext:
    """The open parts. `preflight` decodes pictures, two at a time: 20 megapixels take 60 MB."""

    def __init__(self, settings: Settings, redis: Redis, storage: ObjectStorage, fal: FalGateway) -> None:
        self.settings = settings
        self.redis = redis
        self.storage = storage
        self.fal = fal
        self.running = RunningImages()
        self.preflight = ThreadPoolExecutor(2, thread_name_prefix="preflight")
        self.fetches = asyncio.Semaphore(_FETCHES)
        self.submissions: set[asyncio.Task[Any]] = set()

    def close(self) -> None:
        """Let the threads go; what they still decode is of no use to anybody."""
        self.preflight.shutdown(wait=False, cancel_futures=True)
