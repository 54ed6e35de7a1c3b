"""What every task of a worker process shares, opened once at its start.

Who calls it: the process makes it, the tasks get it with each call.
"""

import asyncio
from typing import Any, Final

from redis.asyncio import Redis

from image2model.fal.gateway import FalGateway
from image2model.settings import Settings
from image2model.storage.objects import ObjectStorage
from image2model.store import endpoints
from image2model.store.replicas import Replicas
from image2model.worker.byte_budget import ByteBudget
from image2model.worker.decoder_process import DecoderProcess
from image2model.worker.hazard import THREADS, Hazard
from image2model.worker.patience import FilePatience
from image2model.worker.permits import PermitDesk
from image2model.worker.prices import PriceCache
from image2model.worker.room import DiskRoom
from image2model.worker.running import RunningImages
from image2model.worker.thumbnails import ThumbnailsAhead
from image2model.worker.webhook_sender import WebhookSender

_FETCHES: Final = 16
"""Models fetched at once."""
_SIDE_FETCHES: Final = 64
"""Files beside a model fetched at once: they are small, and a host that hangs must hold up no others."""
_PICTURE_BYTES: Final = 384 << 20
_RESULT_BYTES: Final = 288 << 20
_SIDE_BYTES: Final = 96 << 20
"""Held of each at once, whatever the number of images at work. A model waits for no file beside another."""
_LOOK_AHEAD: Final = 4
_SUSPECTS: Final = 2
"""One is decoded, while another is loaded or uploaded."""


def look_ahead(permits: int) -> int:
    """How many pictures are prepared ahead of their permits: a quarter of them, and some.

    The fleet's, or from a worker's slots its own share.
    """
    return permits // 4 + _LOOK_AHEAD


class WorkerContext:
    """The open parts. `places` are this worker's share of FAL's hands. `hazard` decodes and measures what
    comes from outside. `preparing` keeps its queue short, so that who waits can still be told to stop;
    `suspects` have a queue of their own, for one that hangs must hold up no healthy picture.
    `refused_endpoints` is what this process knows of open circuits, `pace` how they are probed.
    `webhooks` is opened by the process."""

    def __init__(self, settings: Settings, redis: Redis, storage: ObjectStorage, fal: FalGateway) -> None:
        self.settings = settings
        self.redis = redis
        self.replicas = Replicas(redis)
        self.storage = storage
        self.fal = fal
        self.prices = PriceCache(fal.prices)
        self.webhooks = WebhookSender(allow_private=settings.webhook_allow_private)
        self.running = RunningImages()
        self.hazard = Hazard(redis, DecoderProcess())
        self.preparing = asyncio.Semaphore(THREADS + 1)
        self.suspects = asyncio.Semaphore(_SUSPECTS)
        self.refused_endpoints: set[str] = set()
        self.pace = endpoints.PACE
        self.fetches = asyncio.Semaphore(_FETCHES)
        self.side_fetches = asyncio.Semaphore(_SIDE_FETCHES)
        self.patience = FilePatience(grace=settings.unconfirmed_grace)
        self.picture_bytes = ByteBudget(_PICTURE_BYTES)
        self.result_bytes = ByteBudget(_RESULT_BYTES)
        self.side_bytes = ByteBudget(_SIDE_BYTES)
        self.places = asyncio.Semaphore(settings.worker_concurrency)
        self.room = DiskRoom(storage)
        self.permits = PermitDesk(redis, max_permits=settings.max_concurrent)
        self.thumbnails_ahead = ThumbnailsAhead(storage)
        self.submissions: set[asyncio.Task[Any]] = set()
        self.abandoned: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Let the threads go; what they still decode is of no use to anybody."""
        self.prices.close()
        self.permits.close()
        self.thumbnails_ahead.close()
        self.hazard.close()
