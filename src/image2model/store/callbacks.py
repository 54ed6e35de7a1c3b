"""What FAL told of a request's end besides its result: by its status, or by its webhook.

Who calls it: the API for a webhook, the worker for the rest. It is kept in the image's hash with the id of
the request that it speaks of, so that what an earlier attempt left is never taken for this one's.
"""

from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.script import Script

_NOTE: Final = Script("note_callback")
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
