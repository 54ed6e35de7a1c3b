"""What the steps of a generation share in one worker process; opened once at its start."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Redis

from image2model.catalogue.bills import BillNotes
from image2model.catalogue.live import LiveCatalogue
from image2model.decoding.memory import DECODED_BYTES, ByteBudget
from image2model.decoding.pool import DecoderPool
from image2model.decoding.process import DecoderProcess
from image2model.fal.gateway import FalGateway
from image2model.generation.limits import DiskSpace, FilePatience
from image2model.generation.suspects import THREADS, Hazard
from image2model.queue.context import QueueContext
from image2model.settings import Settings
from image2model.storage.objects import ObjectStorage
from image2model.store.durability import Replicas
from image2model.telemetry import metrics, tracing

_FETCHES: Final = 16
"""Models fetched at once."""
_SIDE_FETCHES: Final = 64
"""Files beside a model fetched at once: they are small, and a host that hangs must not hold up others."""
_PICTURE_BYTES: Final = 384 << 20
_RESULT_BYTES: Final = 288 << 20
_SIDE_BYTES: Final = 96 << 20
"""Bytes held of each at once, however many images. A model never waits for a file beside another model."""
_SUSPECTS: Final = 2
"""One is decoded while another is loaded or uploaded."""
_NO_ERRORS: Final = frozenset({"ok", "abandoned", "cancelled", "unfinished"})


class GenerationContext(QueueContext):
    """The open parts.

    `hazard` decodes and measures files from outside; `decoders` those of formats that never are decoded here.
    `decoded_bytes` bounds what both decode at once, by the pictures' pixels.
    `preparing` keeps the queue of `hazard` short, so that an image that waits can still be stopped;
    `suspects` is their own queue, because one that hangs must not hold up healthy pictures.
    `submissions`, `abandoned` and `thumbnails` are background tasks: POSTs under way, superseded requests
    that are followed to be booked, and thumbnails being stored. `on_image_end` is called for each image that
    has ended here.
    """

    def __init__(self, settings: Settings, redis: Redis, storage: ObjectStorage, fal: FalGateway) -> None:
        super().__init__(settings, redis, fal)
        self.replicas = Replicas(redis)
        self.storage = storage
        self.catalogue = LiveCatalogue(redis)
        self.bills = BillNotes(redis)
        self.hazard = Hazard(redis, DecoderProcess())
        self.decoders = DecoderPool()
        self.preparing = asyncio.Semaphore(THREADS + 1)
        self.suspects = asyncio.Semaphore(_SUSPECTS)
        self.fetches = asyncio.Semaphore(_FETCHES)
        self.side_fetches = asyncio.Semaphore(_SIDE_FETCHES)
        self.patience = FilePatience(grace=settings.unconfirmed_grace)
        self.picture_bytes = ByteBudget(_PICTURE_BYTES)
        self.decoded_bytes = ByteBudget(DECODED_BYTES)
        self.result_bytes = ByteBudget(_RESULT_BYTES)
        self.side_bytes = ByteBudget(_SIDE_BYTES)
        self.disk_space = DiskSpace(storage)
        self.submissions: set[asyncio.Task[Any]] = set()
        self.abandoned: set[asyncio.Task[None]] = set()
        self.thumbnails: set[asyncio.Task[None]] = set()
        self.on_image_end: Callable[[], None] = lambda: None

    def close(self) -> None:
        """Release threads and background work; what they still decode is of no use."""
        super().close()
        self.bills.close()
        for thumbnail in self.thumbnails:
            thumbnail.cancel()
        self.hazard.close()
        self.decoders.close()


def observe_fal_request(operation: str, outcome: str, seconds: float) -> None:
    """Count, time and trace one request to FAL: the gateway's `fal.observer.Observer`."""
    metrics.FAL_REQUESTS.labels(operation, outcome).inc()
    metrics.FAL_LATENCY.labels(operation).observe(seconds)
    tracing.record(
        f"fal.{operation}",
        seconds,
        kind=tracing.Kind.CLIENT,
        attributes={"peer.service": "fal", tracing.OUTCOME: outcome},
        error_type=None if outcome in _NO_ERRORS else outcome,
    )
