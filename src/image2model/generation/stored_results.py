"""The results of images as they are stored: read, and improved when a missing file has come.

An improvement has no fence, because no worker holds a finished image: it compares with what it read.
All calls raise StoreOutage, except `replace_result`, which repeats until the store has answered.
"""

from enum import IntEnum
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.domain import ImageResult
from image2model.queue.retry import until_stored
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.scripts import Script

_REPLACE: Final = Script("generation/replace_result")
_result: Final = msgspec.json.Decoder(ImageResult)


class Replaced(IntEnum):
    """What became of an improved result."""

    GONE = -1
    CHANGED_MEANWHILE = 0
    DONE = 1


async def result_of(redis: Redis, image_id: str) -> ImageResult | None:
    """The result of another image; None if it has none."""
    text = await result_text(redis, image_id)
    return _result.decode(text) if text else None


async def result_text(redis: Redis, image_id: str) -> str:
    """A result as it is stored, to be replaced; empty if there is none."""
    found: bytes | None = await command(redis, "HGET", key("image", image_id), "result")
    return found.decode() if found else ""


def result_from(text: str) -> ImageResult:
    """Decode what `result_text` returned."""
    return _result.decode(text)


@until_stored
async def replace_result(redis: Redis, image_id: str, before: str, after: ImageResult) -> Replaced:
    """Improve the result of an image that has succeeded, and publish the change. Repeats until stored.

    `before` is what `result_text` returned. If the stored result differs by now, nothing changes.
    """
    text = msgspec.json.encode(after).decode()
    return Replaced(await _REPLACE.packed(redis, image_id, before, text))
