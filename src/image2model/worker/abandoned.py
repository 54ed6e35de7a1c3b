"""A request whose attempt was superseded before its id was stored: nobody will show its result.

Who calls it: the commit of an id that comes too late, from a worker that slept through its POST. What FAL
generates all the same is paid for, so the request is followed to its end, beside everything else. Where the
process ends first, a webhook may still tell; else the hold of the attempt runs out.
"""

import asyncio
from contextlib import aclosing

import structlog

from image2model.domain import FalRequest
from image2model.errors import FalError, FalRejected, FalResultGone
from image2model.fal.billing import is_free
from image2model.fal.endpoints import endpoint_of
from image2model.store.images import Task
from image2model.worker import costs
from image2model.worker.generation_context import GenerationContext

_log = structlog.get_logger("worker.abandoned")


async def abandon(context: GenerationContext, task: Task, attempt_token: str, request: FalRequest) -> None:
    """Ask FAL to stop it, then book in the background what it took."""
    _log.warning("superseded_request", image_id=task.image_id, fal_request_id=request.request_id)
    try:
        await context.fal.cancel(request)
    except FalError as error:
        _log.warning("could_not_cancel", fal_request_id=request.request_id, error=error.message)
    following = asyncio.create_task(_book_end(context, task, attempt_token, request))
    context.abandoned.add(following)
    following.add_done_callback(context.abandoned.discard)


async def _book_end(context: GenerationContext, task: Task, attempt_token: str, request: FalRequest) -> None:
    """As `generate` does for a request of the present attempt. A 5xx and an obeyed cancel book nothing."""
    try:
        async with asyncio.timeout(context.settings.task_timeout):
            async with aclosing(context.fal.follow(request)) as updates:
                async for _ in updates:
                    pass
            found = await context.fal.result(endpoint_of(task.model), request)
        await costs.book_result(context, task, request, found.billable_units, attempt_token=attempt_token)
    except FalRejected as refused:
        if not is_free(refused):
            units = refused.billable_units
            await costs.book_refusal(context, task, request, units, ran=True, attempt_token=attempt_token)
    except FalResultGone:
        await costs.book_lost(context, task, request, attempt_token=attempt_token)
    except (FalError, TimeoutError) as error:
        _log.info("superseded_request_not_booked", fal_request_id=request.request_id, reason=str(error))
