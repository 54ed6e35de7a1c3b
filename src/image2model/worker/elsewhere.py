"""Where else FAL speaks of a request that it denies to know: its listing by endpoint, and its webhook.

Who calls it: `follow` while FAL denies the request, `collect` while it denies the result. FAL's parts need
not agree at once; what one of them has was paid for all the same.
"""

import msgspec
import structlog

from image2model.domain import FalRequest
from image2model.errors import FalError, FalRejected, FalTransient
from image2model.fal.endpoints import Endpoint
from image2model.fal.failures import FalCancelled
from image2model.fal.result import FalResult, output_in
from image2model.store import callbacks
from image2model.store.images import Task
from image2model.worker.generation_context import GenerationContext
from image2model.worker.told import told

_log = structlog.get_logger("worker.elsewhere")


class Elsewhere(msgspec.Struct, frozen=True):
    """What the other parts of FAL know. `running`: the request is listed and has not ended."""

    ended: bool = False
    running: bool = False
    result: FalResult | None = None


async def look_elsewhere(
    context: GenerationContext, task: Task, request: FalRequest, endpoint: Endpoint
) -> Elsewhere:
    """What is known of the request besides.

    Raises FalRejected, FalTransient and FalCancelled where FAL lists one of these in place of a result.
    """
    kept = await told(lambda: callbacks.of(context.redis, task.image_id, request.request_id))
    if kept is not None and kept.ended:
        result = await _output(endpoint, kept.payload)
        if result is not None:
            _log.info("result_from_webhook", image_id=task.image_id, fal_request_id=request.request_id)
        return Elsewhere(ended=True, result=result)
    try:
        listed = await context.fal.look_up(endpoint, request)
    except FalError as error:
        _log.warning("lookup_failed", image_id=task.image_id, reason=error.message)
        return Elsewhere()
    if listed is None:
        return Elsewhere()
    if isinstance(listed.failure, (FalRejected, FalTransient, FalCancelled)):
        raise listed.failure
    if listed.result is not None:
        _log.info("result_from_listing", image_id=task.image_id, fal_request_id=request.request_id)
    return Elsewhere(listed.ended, not listed.ended, listed.result)


async def _output(endpoint: Endpoint, payload: bytes | None) -> FalResult | None:
    """The result in a webhook, where it names a file: an error has no files."""
    if payload is None:
        return None
    try:
        found = await output_in(endpoint, payload)
    except FalError:
        return None
    return found if found.files else None
