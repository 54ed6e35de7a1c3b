"""A submit whose reply was lost: was it accepted? Asked until the grace is over, never sent again by itself.

Who calls it: `generate`, for an image with a `posting` mark and no `request_id`. FAL lists a request by the
URL in its input, late and perhaps not while it is queued; a webhook may bring the id earlier, and brings
it even after the image has failed.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from image2model.domain import FalRequest
from image2model.errors import FalError
from image2model.store.images import Task
from image2model.worker.generation_context import GenerationContext

_log = structlog.get_logger("worker.unconfirmed")

_EARLIER: Final = timedelta(minutes=5)
"""FAL's clock and ours may differ by so much."""
_FIRST_GAP_S: Final = 1.0
_LAST_GAP_S: Final = 15.0


async def look_up(context: GenerationContext, task: Task) -> FalRequest | None:
    """The request that FAL lists with this attempt's URL. A failed look-up finds nothing."""
    since = datetime.fromtimestamp(task.posting_at / 1000, UTC) - _EARLIER
    try:
        return await context.fal.find_submission(task.model, task.intent_url, since)
    except FalError as error:
        _log.warning("the look-up failed", image_id=task.image_id, error=error.message)
        return None


def next_look_s(task: Task, grace_s: float) -> float | None:
    """Seconds until the next look: growing with the age that the submit had when the task was loaded; None
    when the grace is over."""
    age = max(task.loaded_at - task.posting_at, 0) / 1000
    if age >= grace_s:
        return None
    return min(max(_FIRST_GAP_S, age / 4), _LAST_GAP_S, grace_s - age + 0.1)
