"""Answers as JSON from Structs. Who calls it: the routes."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from image2model.errors import BodyTooLarge, InvalidParameter, UploadTooSlow

ANSWER_HEADERS: Final = "image2model.answer_headers"
"""Where a scope holds raw headers that its answer must carry, whatever it will be."""


def json_answer(
    document: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The document as JSON; not cached unless `headers` say otherwise."""
    return Response(
        msgspec.json.encode(document),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


MAX_BYTES: Final = 64 << 10
_S = TypeVar("_S", bound=msgspec.Struct)


async def read_json(
    request: Request, decoder: msgspec.json.Decoder[_S], example: str, *, empty: _S | None = None
) -> _S:
    """The body, read up to 64 KiB. The decoder was made at import. `empty` is what no body at all means.

    Raises BodyTooLarge, UploadTooSlow, and InvalidParameter with the example.
    """
    body = await read_small(request, MAX_BYTES)
    if empty is not None and not body.strip():
        return empty
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidParameter(f"The body must be JSON such as {example}: {str(error)[:200]}") from error


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


@contextmanager
def watching(receive: Receive) -> Iterator[Callable[[], bool]]:
    """For the time of the block, a function that tells whether the client has left."""
    gone = asyncio.create_task(_gone(receive))
    try:
        yield gone.done
    finally:
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
