"""Bodies of requests and responses: JSON out, small bodies in, and a client that leaves meanwhile.

Every read has a byte limit and a deadline. Uploads are read by `http.upload`.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from image2model.errors import BodyTooLarge, InvalidParameter, UploadTooSlow

RESPONSE_HEADERS: Final = "image2model.response_headers"
"""Where a scope holds raw headers that its response must carry, whatever it will be."""
WAITED: Final = "image2model.waited"
"""Where a scope holds the seconds for which the client wanted its answer later."""
_MAX_JSON_BYTES: Final = 64 << 10
_DEADLINE_S: Final = 30.0
_S = TypeVar("_S", bound=msgspec.Struct)


def json_response(
    document: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The document as JSON; not cached unless `headers` say otherwise."""
    return Response(
        msgspec.json.encode(document),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def is_json(headers: Mapping[str, str]) -> bool:
    """Whether the body is announced as JSON."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def read_json(
    request: Request, decoder: msgspec.json.Decoder[_S], example: str, *, empty: _S | None = None
) -> _S:
    """The body, read up to 64 KiB. The decoder was made at import. `empty` is the value of an empty body.

    Raises BodyTooLarge, UploadTooSlow, and InvalidParameter with the example.
    """
    body = await read_small(request, _MAX_JSON_BYTES)
    if empty is not None and not body.strip():
        return empty
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidParameter(f"The body must be JSON such as {example}: {str(error)[:200]}") from error


async def read_small(request: Request, most: int, *, deadline_s: float = _DEADLINE_S) -> bytes:
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


def declared_length(headers: Mapping[str, str], default: int) -> int:
    """The value of `Content-Length`, in bytes; `default` where there is none.

    The server's parser has checked that it is a number of 64 bits. It may have thousands of leading zeros,
    and Python refuses to read that many digits.
    """
    length = headers.get("content-length")
    return default if length is None else int(length.lstrip("0") or "0")


@contextmanager
def watching(receive: Receive) -> Iterator[Callable[[], bool]]:
    """Within the block, a function that reports whether the client has left."""
    gone = asyncio.create_task(_gone(receive))
    try:
        yield gone.done
    finally:
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
