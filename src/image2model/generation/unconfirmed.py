"""A submission without a reply: FAL may have the request, and it may have been paid for.

It is looked up in FAL's request listing for `I2M_UNCONFIRMED_GRACE`, by the picture's URL, which belongs to
this attempt alone. It is never sent again unless `I2M_ON_UNCONFIRMED` is `resubmit`.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from arq.worker import Retry

from image2model.domain import FalRequest
from image2model.errors import FalAmbiguous, FalError, NoBudgetLeft
from image2model.fal.errors import to_image_failure
from image2model.generation import steps
from image2model.generation.context import GenerationContext
from image2model.generation.loading import Task
from image2model.generation.submit import commit

_log = structlog.get_logger(__name__)

_CLOCK_SKEW: Final = timedelta(minutes=5)
"""FAL's clock and ours may differ by this much."""
_FIRST_GAP_S: Final = 1.0
_LAST_GAP_S: Final = 15.0


async def confirm_submission(context: GenerationContext, task: Task, fence: str) -> FalRequest:
    """FAL's request, stored, where FAL lists it.

    Raises arq.Retry to look again later, or to submit another attempt; ImageFailure once the grace is over.
    """
    if request := await _listed_request(context, task):
        return await commit(context, task, fence, task.attempt_token, request)
    settings = context.settings
    if (wait := next_lookup_s(task, settings.unconfirmed_grace)) is not None:
        # also logged where another process sent it: nothing else says why the image stands still
        _log.info("submission_unconfirmed", posted_at=task.posting_at, look_again_s=round(wait, 1))
        raise Retry(defer=wait)
    attempts_left = task.attempts_used + 1 < settings.max_attempts
    if settings.on_unconfirmed == "resubmit" and attempts_left and not task.cancel_requested:
        await _resubmit(context, task, fence)
    raise to_image_failure(
        FalAmbiguous(
            "The reply to the submit was lost, and FAL does not list the request. It may have been paid "
            "for; a retry would pay again. If FAL still reports it, it becomes a success by itself."
        )
    )


async def _listed_request(context: GenerationContext, task: Task) -> FalRequest | None:
    """The request that FAL lists with this attempt's URL. A failed lookup finds nothing."""
    since = datetime.fromtimestamp(task.posting_at / 1000, UTC) - _CLOCK_SKEW
    try:
        return await context.fal.find_submission(task.model, task.intent_url, since)
    except FalError as error:
        _log.warning("submission_lookup_failed", image_id=task.image_id, error=error.message)
        return None


def next_lookup_s(task: Task, grace_s: float) -> float | None:
    """Seconds until the next lookup, or None once the grace is over.

    They grow with the age that the submission had when the task was loaded.
    """
    age = max(task.loaded_at - task.posting_at, 0) / 1000
    if age >= grace_s:
        return None
    return min(max(_FIRST_GAP_S, age / 4), _LAST_GAP_S, grace_s - age + 0.1)


async def _resubmit(context: GenerationContext, task: Task, fence: str) -> None:
    """Raises arq.Retry. Returns if the budget allows no second submit: the first may yet be billed."""
    try:
        await steps.try_again(context.redis, task.image_id, fence, used_attempt=True, unknown=True)
    except NoBudgetLeft as reason:
        _log.info("resubmit_refused", reason=str(reason))
        return
    raise Retry(defer=0)
