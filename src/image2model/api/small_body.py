"""A body that is not an upload: whole, bounded in bytes and time.

Who calls it: the routes that take JSON, and FAL's callbacks. Uploads have a reader of their own.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

from image2model.errors import BodyTooLarge, UploadTooSlow

DEADLINE_S: Final = 30.0


def declared_length(headers: Mapping[str, str], default: int) -> int:
    """What `Content-Length` says, in bytes. The server's parser has found it to be a number of 64 bits, with
    as many zeros before it as a client likes: Python refuses to read thousands of digits.
    """
    said = headers.get("content-length")
    return default if said is None else int(said.lstrip("0") or "0")


async def read_small(request: Request, most: int, *, deadline_s: float = DEADLINE_S) -> bytes:
    """At most `most` bytes. Raises BodyTooLarge, UploadTooSlow, and ClientDisconnect as Starlette does."""
    body = bytearray()
    try:
        async with asyncio.timeout(deadline_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise BodyTooLarge(f"This body has at most {most} bytes.")
    except TimeoutError:
        raise UploadTooSlow(
            f"The body did not arrive within {deadline_s:g} s. Send it again over a faster connection.",
            headers={"Connection": "close"},
        ) from None
    return bytes(body)
