"""Images whose prepared pictures wait for a client: those that nobody confirms in time fail.

They wait out of sight of every pick, without lease and permit; `confirmations` holds until when. Nothing was
bought of the model by then, and a retry prepares nothing anew.
"""

from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.domain import ImageError, ImageStatus
from image2model.store.scripts import Script
from image2model.telemetry import metrics

_log: Final = structlog.get_logger(__name__)

_EXPIRE: Final = Script("queue/expire_confirmations")
_PAGE: Final = 100
NOT_CONFIRMED: Final = ImageError(
    code="not_confirmed",
    message="Nobody confirmed the prepared picture within 24 hours. A retry prepares nothing anew, and waits "
    "for the confirmation again.",
    retryable=True,
)
_expired: Final = msgspec.msgpack.Decoder(list[tuple[str, str]])


async def expire(redis: Redis) -> int:
    """Fail the images whose time is over; returns how many. Raises StoreOutage."""
    error = msgspec.json.encode(NOT_CONFIRMED).decode()
    ended, found = 0, _PAGE
    while found == _PAGE:
        failed = _expired.decode(await _EXPIRE.packed(redis, error, _PAGE))
        found = len(failed)
        ended += found
        for image_id, model in failed:
            _log.info("image_failed", image_id=image_id, model=model, code=NOT_CONFIRMED.code)
            metrics.IMAGES.labels(model, ImageStatus.FAILED.value).inc()
    return ended
