"""From FAL's end of a request to our own: fetch the result, book what it cost, store its files.

Who calls it: `generate`. FAL keeps a result for minutes only, so it is fetched at once; what fails on
the way is tried again with the same request, never by a new one.
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
from image2model.generation.fal_words import FalWords, look_elsewhere
from image2model.generation.result_files import FileStore
from image2model.generation.steps import Task
from image2model.generation.suspects import Suspect
from image2model.queue.retry import full_jitter, retry_until_stored

_log = structlog.get_logger("worker.collect")


async def collect(
    context: GenerationContext, task: Task, fence: str, request: FalRequest, endpoint: Endpoint
) -> None:
    """Make the image a success. Raises FalError as the gateway does, ImageFailure, StaleFence."""
    try:
        found = await _result(context, task, request, endpoint)
    except FalError as error:
        told_by_fal = (await FalWords.of(context.redis, task.image_id, request)).added_to(error)
        if told_by_fal is error:
            raise
        raise told_by_fal from error
    await costs.book_result(context, task, request, found.billable_units)
    if found.model is None:
        raise await _no_model(context, task, request, found)
    result = await FileStore(context, task.job_id, task.image_id, Suspect.of(task, fence)).take(found.files)
    await retry_until_stored(lambda: steps.succeed(context.redis, task.image_id, fence, result))


async def _result(
    context: GenerationContext, task: Task, request: FalRequest, endpoint: Endpoint
) -> FalResult:
    """FAL's result, from wherever FAL has it.

    A result that FAL denies, or gives as something unreadable, is believed to be so after the grace only.
    """
    patience = context.patience
    began = time.monotonic()
    denied_at: float | None = None
    for tries in count(1):
        try:
            return await context.fal.result(endpoint, request)
        except (FalResultGone, FalUnreadable) as error:
            denied_at = time.monotonic() if denied_at is None else denied_at
            elsewhere = await look_elsewhere(context, task, request, endpoint)
            if elsewhere.result is not None:
                return elsewhere.result
            if time.monotonic() - denied_at >= patience.grace:
                raise await _believed(context, task, request, error) from error
            reason = error.message
        except (FalUnreachable, FalUnfinished) as error:
            if time.monotonic() - began >= patience.model:
                text = f"The result could not be fetched: {error.message}"
                raise ImageFailure("result_expired", text, retryable=True) from error
            reason = error.message
        _log.warning("result_not_fetched_yet", image_id=task.image_id, reason=reason, tries=tries)
        await asyncio.sleep(full_jitter(tries, cap_s=patience.longest_pause))
    raise AssertionError("numbers never end")


async def _believed(
    context: GenerationContext, task: Task, request: FalRequest, error: FalResultGone | FalUnreadable
) -> FalError | ImageFailure:
    if isinstance(error, FalResultGone):
        return error
    await costs.book_lost(context, task, request)  # what nobody can read may also be a refusal that is free
    text = f"FAL's result is none: {error.message}."
    return ImageFailure("result_invalid", text, retryable=True)


async def _no_model(
    context: GenerationContext, task: Task, request: FalRequest, found: FalResult
) -> ImageFailure:
    """The failure of a result that names no model, in FAL's words where there are any."""
    said = found.error
    if said is None:
        said = (await FalWords.of(context.redis, task.image_id, request)).words
    if said is not None:
        code = "content_policy" if said.is_policy else "result_invalid"
        return ImageFailure(
            code, said.message or str(said.type), retryable=not said.is_policy, fal_type=said.type
        )
    named = ", ".join(file.field or file.kind for file in found.files[:5])
    text = f"FAL's result names no model, only: {named}." if named else "FAL's result names no file."
    return ImageFailure("result_invalid", text, retryable=True)
