"""What the steps of a generation share in one worker process, opened once at its start."""

import asyncio
from typing import Any, Final

from redis.asyncio import Redis

from image2model.fal.gateway import FalGateway
from image2model.fal.prices import PriceCache
from image2model.generation.disk_space import DiskSpace
from image2model.generation.limits import ByteBudget, FilePatience
from image2model.generation.suspects import THREADS, DecoderProcess, Hazard
from image2model.generation.thumbnails import ThumbnailsAhead
from image2model.queue.context import QueueContext
from image2model.settings import Settings
from image2model.storage.objects import ObjectStorage
from image2model.store.durability import Replicas

_FETCHES: Final = 16
"""Models fetched at once."""
_SIDE_FETCHES: Final = 64
"""Files beside a model fetched at once: they are small, and a host that hangs must hold up no others."""
_PICTURE_BYTES: Final = 384 << 20
_RESULT_BYTES: Final = 288 << 20
_SIDE_BYTES: Final = 96 << 20
"""Held of each at once, whatever the number of images at work. A model waits for no file beside another."""
_SUSPECTS: Final = 2
"""One is decoded, while another is loaded or uploaded."""


class GenerationContext(QueueContext):
    """The open parts. `places` are this worker's share of FAL's hands. `hazard` decodes and measures what
    comes from outside. `preparing` keeps its queue short, so that who waits can still be told to stop;
    `suspects` have a queue of their own, for one that hangs must hold up no healthy picture.
    """

    def __init__(self, settings: Settings, redis: Redis, storage: ObjectStorage, fal: FalGateway) -> None:
        super().__init__(settings, redis, fal)
        self.replicas = Replicas(redis)
        self.storage = storage
        self.prices = PriceCache(fal.prices)
        self.hazard = Hazard(redis, DecoderProcess())
        self.preparing = asyncio.Semaphore(THREADS + 1)
        self.suspects = asyncio.Semaphore(_SUSPECTS)
        self.fetches = asyncio.Semaphore(_FETCHES)
        self.side_fetches = asyncio.Semaphore(_SIDE_FETCHES)
        self.patience = FilePatience(grace=settings.unconfirmed_grace)
        self.picture_bytes = ByteBudget(_PICTURE_BYTES)
        self.result_bytes = ByteBudget(_RESULT_BYTES)
        self.side_bytes = ByteBudget(_SIDE_BYTES)
        self.slots = asyncio.Semaphore(settings.worker_concurrency)
        self.disk_space = DiskSpace(storage)
        self.thumbnails_ahead = ThumbnailsAhead(storage)
        self.submissions: set[asyncio.Task[Any]] = set()
        self.abandoned: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Let the threads go; what they still decode is of no use to anybody."""
        super().close()
        self.prices.close()
        self.thumbnails_ahead.close()
        self.hazard.close()
