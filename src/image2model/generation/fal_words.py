"""What FAL told of a request's end besides its result: by its status, or by its webhook.

Who calls it: the API for a webhook, the worker for the rest. It is kept in the image's hash with the id of
the request that it speaks of, so that what an earlier attempt left is never taken for this one's.
"""

from typing import Final, Self

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.domain import FalRequest
from image2model.errors import FalError, FalRejected, FalResultGone, FalTransient
from image2model.fal.endpoints import Endpoint
from image2model.fal.errors import FalCancelled, FalMessage
from image2model.fal.results import FalResult, parse_output
from image2model.generation.context import GenerationContext
from image2model.generation.steps import Task
from image2model.queue.retry import retry_until_stored
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.scripts import Script

_NOTE: Final = Script("generation/note_callback")
_MOST_BYTES: Final = 1 << 20
"""A larger payload is not kept: FAL's queue has it too."""


class Callback(msgspec.Struct, frozen=True, omit_defaults=True):
    """`ended`: a webhook came. `output` is the JSON text of its payload, where it was no error."""

    request_id: str
    ended: bool = False
    error: str | None = None
    error_type: str | None = None
    output: str | None = None

    @property
    def payload(self) -> bytes | None:
        """The output as the bytes that FAL sent."""
        return self.output.encode() if self.output is not None else None


_callback: Final = msgspec.json.Decoder(Callback)


def text_of(callback: Callback) -> str:
    """As it is kept."""
    if callback.output is not None and len(callback.output) > _MOST_BYTES:
        callback = msgspec.structs.replace(callback, output=None)
    return msgspec.json.encode(callback).decode()


async def note(redis: Redis, image_id: str, attempt_token: str, callback: Callback) -> bool:
    """Keep a webhook's word while its request is the image's and unfinished; whether it was kept."""
    return bool(await _NOTE.packed(redis, image_id, attempt_token, callback.request_id, text_of(callback)))


async def of(redis: Redis, image_id: str, request_id: str) -> Callback | None:
    """What is kept of this request."""
    text = await command(redis, "HGET", key("image", image_id), "fal_callback")
    kept = _callback.decode(text) if text else None
    return kept if kept is not None and kept.request_id == request_id else None


_NO_WORDS: Final = "HTTP "
"""How a message begins where FAL's reply said nothing."""


class FalWords(msgspec.Struct, frozen=True):
    """What FAL said of one request's end; None where it said nothing."""

    words: FalMessage | None

    @classmethod
    async def of(cls, redis: Redis, image_id: str, request: FalRequest) -> Self:
        """Those that its status or its webhook brought."""
        kept = await retry_until_stored(lambda: of(redis, image_id, request.request_id))
        return cls(
            FalMessage(kept.error or "", kept.error_type)
            if kept and (kept.error or kept.error_type)
            else None
        )

    def added_to(self, error: FalError) -> FalError:
        """The same error in FAL's words, where it has none of its own.

        A result that is gone stays gone, unless the words say that the content is not allowed.
        """
        if self.words is None:
            return error
        said = self.words.message or str(self.words.type)
        if isinstance(error, FalResultGone):
            if self.words.is_policy:
                return FalRejected(said, status=None, fal_type=self.words.type)
            error.message = f"{error.message}. FAL said: {said}"
        elif error.message.startswith(_NO_WORDS):
            error.message = said
        error.fal_type = error.fal_type or self.words.type
        return error


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
    kept = await retry_until_stored(lambda: of(context.redis, task.image_id, request.request_id))
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
        found = await parse_output(endpoint, payload)
    except FalError:
        return None
    return found if found.files else None
