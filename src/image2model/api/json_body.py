"""A small JSON body as a Struct. Who calls it: the routes that take one."""

from typing import Final, TypeVar

import msgspec
from starlette.requests import Request

from image2model.api.small_body import read_small
from image2model.errors import InvalidParameter

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
