"""What FAL reports about a request besides its result: by its status, its webhook, or its request listing.

A report is stored in the image's hash with the id of its request, so that one left by an earlier attempt is
never taken for this one's. It serves where FAL's queue denies a request, or gives a bare HTTP status.
"""

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.domain import FalRequest
from image2model.errors import FalError, FalRejected, FalResultGone, FalTransient
from image2model.fal.endpoints import Endpoint
from image2model.fal.errors import FalCancelled, FalMessage
from image2model.fal.results import FalResult, parse_output
from image2model.generation.loading import Task
from image2model.queue.retry import retry_until_stored
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.scripts import Script

if TYPE_CHECKING:  # it opens all of FAL's gateway, which the API does not need
    from image2model.generation.context import GenerationContext

_log = structlog.get_logger(__name__)

_NOTE: Final = Script("generation/note_callback")
_MOST_BYTES: Final = 1 << 20
"""A larger output is not stored: FAL's queue has it too."""
_NO_MESSAGE: Final = "HTTP "
"""How our message begins where FAL's reply had none."""


class Callback(msgspec.Struct, frozen=True, omit_defaults=True):
    """One report. `ended`: a webhook came. `output`: the JSON text of its payload, unless it was an error."""

    request_id: str
    ended: bool = False
    error: str | None = None
    error_type: str | None = None
    output: str | None = None


class OtherReports(msgspec.Struct, frozen=True):
    """What the webhook and the listing report. `running`: the request is listed and has not ended."""

    ended: bool = False
    running: bool = False
    result: FalResult | None = None


_callback: Final = msgspec.json.Decoder(Callback)


async def other_reports(
    context: "GenerationContext", task: Task, request: FalRequest, endpoint: Endpoint
) -> OtherReports:
    """What FAL reports about a request that its queue denies: by a webhook, else in its request listing.

    Raises FalRejected, FalTransient and FalCancelled if FAL lists one of these in place of a result.
    """
    stored = await _load(context.redis, task.image_id, request)
    if stored is not None and stored.ended:
        result = None
        if stored.output is not None:
            with suppress(FalError):
                result = await parse_output(endpoint, stored.output.encode())
        if result is not None and not result.files:
            result = None  # an error has no files
        if result is not None:
            _log.info("result_from_webhook", image_id=task.image_id, fal_request_id=request.request_id)
        return OtherReports(ended=True, result=result)
    try:
        listed = await context.fal.look_up(endpoint, request)
    except FalError as error:
        _log.warning("request_lookup_failed", image_id=task.image_id, reason=error.message)
        return OtherReports()
    if listed is None:
        return OtherReports()
    if isinstance(listed.failure, (FalRejected, FalTransient, FalCancelled)):
        raise listed.failure
    if listed.result is not None:
        _log.info("result_from_listing", image_id=task.image_id, fal_request_id=request.request_id)
    return OtherReports(listed.ended, not listed.ended, listed.result)


async def stored_error(redis: Redis, image_id: str, request: FalRequest) -> FalMessage | None:
    """The error that FAL's status or webhook reported; None if it reported none."""
    stored = await _load(redis, image_id, request)
    if stored is None or not (stored.error or stored.error_type):
        return None
    return FalMessage(stored.error or "", stored.error_type)


async def explained(redis: Redis, image_id: str, request: FalRequest, error: FalError) -> FalError:
    """The same error with the message that FAL reported, if it has none of its own.

    A result that is gone stays gone, unless the message says that the content is not allowed.
    """
    reported = await stored_error(redis, image_id, request)
    if reported is None:
        return error
    message = reported.message or str(reported.type)
    if isinstance(error, FalResultGone):
        if reported.is_policy:
            return FalRejected(message, status=None, fal_type=reported.type)
        error.message = f"{error.message}. FAL said: {message}"
    elif error.message.startswith(_NO_MESSAGE):
        error.message = message
    error.fal_type = error.fal_type or reported.type
    return error


async def store_webhook(redis: Redis, image_id: str, attempt_token: str, callback: Callback) -> bool:
    """Store a webhook's report if its request is the image's and unfinished. Returns whether it was."""
    return bool(await _NOTE.packed(redis, image_id, attempt_token, callback.request_id, encoded(callback)))


def encoded(callback: Callback) -> str:
    """A report as it is stored."""
    if callback.output is not None and len(callback.output) > _MOST_BYTES:
        callback = msgspec.structs.replace(callback, output=None)
    return msgspec.json.encode(callback).decode()


async def _load(redis: Redis, image_id: str, request: FalRequest) -> Callback | None:
    """What is stored about this request. Repeats until the store answers."""
    text = await retry_until_stored(lambda: command(redis, "HGET", key("image", image_id), "fal_callback"))
    stored = _callback.decode(text) if text else None
    return stored if stored is not None and stored.request_id == request.request_id else None
