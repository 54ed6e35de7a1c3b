"""From FAL's end of a request to ours: fetch the result, book what it cost, store its files.

FAL keeps a result for minutes only, so it is fetched at once. What fails on the way is tried again with the
same request, never by a new one.
"""

import asyncio
import time
from itertools import count

import structlog

from image2model.domain import FalRequest
from image2model.errors import FalError, FalResultGone, ImageFailure
from image2model.fal.endpoints import Endpoint
from image2model.fal.errors import FalUnfinished, FalUnreachable, FalUnreadable
from image2model.fal.results import FalResult
from image2model.generation import costs, steps
from image2model.generation.context import GenerationContext
from image2model.generation.fal_messages import explained, other_reports, stored_error
from image2model.generation.loading import Task
from image2model.generation.result_files import ResultFetcher
from image2model.generation.suspects import Suspect
from image2model.queue.retry import full_jitter

_log = structlog.get_logger(__name__)


async def collect(context: GenerationContext, task: Task, fence: str, request: FalRequest) -> None:
    """End the image as a success. Raises FalError as the gateway does, ImageFailure, StaleFence."""
    found = await paid_result(context, task, request)
    if found.model is None:
        raise await no_file(context, task, request, found, "model")
    fetcher = ResultFetcher(context, task.result_names, Suspect.of(task, fence))
    await steps.succeed(context.redis, task.image_id, fence, await fetcher.fetch(found.files))


async def paid_result(context: GenerationContext, task: Task, request: FalRequest) -> FalResult:
    """What FAL has made, and its cost is booked. Raises FalError as the gateway does, ImageFailure."""
    try:
        found = await _result(context, task, request, await context.catalogue.find_bought(task.model))
    except FalError as error:
        explanation = await explained(context.redis, task.image_id, request, error)
        if explanation is error:
            raise
        raise explanation from error
    await costs.book_result(context, task, request, found.billable_units)
    return found


async def _result(
    context: GenerationContext, task: Task, request: FalRequest, endpoint: Endpoint
) -> FalResult:
    """FAL's result, from whatever part of FAL has it.

    That a result is denied, or cannot be read, is believed only after the grace.
    """
    patience = context.patience
    began = time.monotonic()
    denied_at: float | None = None
    for tries in count(1):
        try:
            return await context.fal.result(endpoint, request)
        except (FalResultGone, FalUnreadable) as error:
            denied_at = time.monotonic() if denied_at is None else denied_at
            others = await other_reports(context, task, request, endpoint)
            if others.result is not None:
                return others.result
            if time.monotonic() - denied_at >= patience.grace:
                raise await _without_result(context, task, request, error) from error
            reason = error.message
        except (FalUnreachable, FalUnfinished) as error:
            if time.monotonic() - began >= patience.model:
                text = f"The result could not be fetched: {error.message}"
                raise ImageFailure("result_expired", text, retryable=True) from error
            reason = error.message
        _log.warning("result_not_fetched_yet", image_id=task.image_id, reason=reason, tries=tries)
        await asyncio.sleep(full_jitter(tries, cap_s=patience.longest_pause))
    raise AssertionError("unreachable: the loop has no end")


async def _without_result(
    context: GenerationContext, task: Task, request: FalRequest, error: FalResultGone | FalUnreadable
) -> FalError | ImageFailure:
    if isinstance(error, FalResultGone):
        return error
    await costs.book_lost(context, task, request)  # an unreadable result may also be a refusal that is free
    text = f"FAL's result cannot be read: {error.message}."
    return ImageFailure("result_invalid", text, retryable=True)


async def no_file(
    context: GenerationContext, task: Task, request: FalRequest, found: FalResult, wanted: str
) -> ImageFailure:
    """The failure of a result that lacks what was bought, with FAL's message if there is one."""
    message = found.error
    if message is None:
        message = await stored_error(context.redis, task.image_id, request)
    if message is not None:
        code = "content_policy" if message.is_policy else "result_invalid"
        text = message.message or str(message.type)
        return ImageFailure(code, text, retryable=not message.is_policy, fal_type=message.type)
    named = ", ".join(file.field or file.kind for file in found.files[:5])
    text = f"FAL's result names no {wanted}, only: {named}." if named else "FAL's result names no file."
    return ImageFailure("result_invalid", text, retryable=True)
