"""FAL's own words on the end of a request, kept with the image until they are needed.

Who calls it: `follow` and FAL's webhook leave them, `collect` puts them into an error that has none of its
own.
"""

from typing import Final, Self

import msgspec
from redis.asyncio import Redis

from image2model.domain import FalRequest
from image2model.errors import FalError, FalRejected, FalResultGone
from image2model.fal.words import Words
from image2model.store import callbacks
from image2model.worker.told import told

_NO_WORDS: Final = "HTTP "
"""How a message begins where FAL's reply said nothing."""


class FalWords(msgspec.Struct, frozen=True):
    """What FAL said of one request's end; None where it said nothing."""

    words: Words | None

    @classmethod
    async def of(cls, redis: Redis, image_id: str, request: FalRequest) -> Self:
        """Those that its status or its webhook brought."""
        kept = await told(lambda: callbacks.of(redis, image_id, request.request_id))
        return cls(
            Words(kept.error or "", kept.error_type) if kept and (kept.error or kept.error_type) else None
        )

    def added_to(self, error: FalError) -> FalError:
        """The same error in FAL's words, where it has none of its own.

        A result that is gone stays gone, unless the words say that the content is not allowed.
        """
        if self.words is None:
            return error
        said = self.words.message or str(self.words.type)
        if isinstance(error, FalResultGone):
            if self.words.on_policy:
                return FalRejected(said, status=None, fal_type=self.words.type)
            error.message = f"{error.message}. FAL said: {said}"
        elif error.message.startswith(_NO_WORDS):
            error.message = said
        error.fal_type = error.fal_type or self.words.type
        return error
