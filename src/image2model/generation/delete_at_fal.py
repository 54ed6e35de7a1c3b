"""Deletes at FAL what is due: the task `delete_at_fal` of the queue `maintenance`.

The list (`fal_deletions`) decides what is due; this task runs again when the next request is, and is queued
whenever one becomes due. A deletion may run twice. Nothing is taken off the list before FAL has said that all
of it is gone.
"""

import asyncio
import random
from typing import Final

import structlog
from arq.worker import Retry

from image2model.errors import FalError, FalResultGone
from image2model.fal.errors import FalAdminRefused, FalFilesLeft
from image2model.generation import fal_deletions
from image2model.generation.context import GenerationContext
from image2model.generation.fal_deletions import DueDeletion, Outcome
from image2model.queue.running import RunningTask
from image2model.telemetry import metrics

_log: Final = structlog.get_logger(__name__)

_AT_ONCE: Final = 8
_FIRST_GAP_S: Final = 2.0
_LONGEST_GAP_S: Final = 900.0
_LONGEST_WAIT_S: Final = 3600.0
_LEAST_DENIALS: Final = 3
"""How often FAL must have denied a request before that is believed: its parts do not always agree at once."""


async def delete_at_fal(context: GenerationContext, _running: RunningTask, _nothing: str) -> None:
    """Delete all that is due. Raises arq.Retry for when the next request is, StoreOutage."""
    if not context.fal.deletes_payloads:
        return  # another worker may have the admin key; `doctor` names what is left
    while True:
        due = await fal_deletions.due(context.redis, _AT_ONCE)
        if not due.requests:
            break
        await asyncio.gather(*(_delete(context, one, due.at) for one in due.requests))
    if due.next_at:
        raise Retry(defer=min(max(due.next_at - due.at, 0) / 1000, _LONGEST_WAIT_S))


async def _delete(context: GenerationContext, one: DueDeletion, now_ms: int) -> None:
    try:
        await context.fal.delete_payloads(one.request_id)
    except FalResultGone as gone:
        denied_s = (now_ms - one.denied_at) / 1000 if one.denied_at else 0.0
        if one.tries >= _LEAST_DENIALS and denied_s >= context.settings.unconfirmed_grace:
            await _done(context, one, "gone")
        else:
            await _failed(context, one, Outcome.DENIED, gone)
    except FalAdminRefused as refused:
        await _failed(context, one, Outcome.REFUSED, refused)
    except FalFilesLeft as left:
        await _failed(context, one, Outcome.LEFT, left)
    except FalError as error:
        await _failed(context, one, Outcome.FAILED, error)
    else:
        await _done(context, one, "deleted")


async def _done(context: GenerationContext, one: DueDeletion, outcome: str) -> None:
    await fal_deletions.note(context.redis, one.request_id, Outcome.DONE)
    metrics.FAL_DELETIONS.labels(outcome).inc()
    _log.info("deleted_at_fal", fal_request_id=one.request_id, outcome=outcome, tries=one.tries + 1)


async def _failed(context: GenerationContext, one: DueDeletion, outcome: Outcome, error: FalError) -> None:
    gap = _FIRST_GAP_S if outcome is Outcome.REFUSED else _gap(one.tries)
    await fal_deletions.note(context.redis, one.request_id, outcome, error.message, gap)
    metrics.FAL_DELETIONS.labels(outcome.value).inc()
    _log.warning(
        "not_deleted_at_fal", fal_request_id=one.request_id, outcome=outcome.value, reason=error.message
    )


def _gap(tries: int) -> float:
    """Seconds to the next try: doubled each time, with jitter."""
    longest: float = min(_LONGEST_GAP_S, _FIRST_GAP_S * 2 ** min(tries, 16))
    return longest * random.uniform(0.5, 1)  # noqa: S311 - no secret
