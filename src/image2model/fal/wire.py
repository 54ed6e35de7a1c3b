"""The JSON that FAL sends, as Structs. Unknown fields are ignored, and what FAL may leave out is optional.

Who calls it: the other modules of this package. `decode` is the one way in.
"""

from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")


class Submitted(msgspec.Struct, frozen=True):
    """The reply to a submit."""

    request_id: str
    status_url: str | None = None
    response_url: str | None = None
    cancel_url: str | None = None


class Status(msgspec.Struct, frozen=True):
    """The status of a request, polled or streamed. What is Raw is FAL's, or whatever it sent instead."""

    status: str
    queue_position: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")
    error_type: msgspec.Raw = msgspec.Raw(b"null")


class CancelStatus(msgspec.Struct, frozen=True):
    """The reply to a cancel."""

    status: str


class UploadToken(msgspec.Struct, frozen=True):
    """What uploads authenticate with, in place of the key. `expires_at` carries its time zone."""

    token: str
    token_type: str
    expires_at: datetime


class Uploaded(msgspec.Struct, frozen=True):
    """The reply of the media host: the public URL of the file."""

    access_url: str


class UploadSlot(msgspec.Struct, frozen=True):
    """The older way to upload: where to PUT the bytes, and the URL they get."""

    upload_url: str
    file_url: str


class Failure(msgspec.Struct, frozen=True):
    """An error body: `detail` is a text for request errors, a list for model errors.

    `error` and `message` are what other servers in between, and some models, call it.
    """

    detail: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")
    message: msgspec.Raw = msgspec.Raw(b"null")
    error_type: msgspec.Raw = msgspec.Raw(b"null")


class ModelError(msgspec.Struct, frozen=True):
    """One entry of a model error's list."""

    msg: str | None = None
    message: str | None = None
    type: str | None = None


class ListedRequest(msgspec.Struct, frozen=True):
    """One request in the listing by endpoint, with its input and output where payloads were asked for.

    `ended_at` is there once it has ended; `status_code` is then that of its result.
    """

    request_id: str
    json_input: msgspec.Raw = msgspec.Raw(b"null")
    json_output: msgspec.Raw = msgspec.Raw(b"null")
    ended_at: str | None = None
    status_code: int | None = None


class RequestPage(msgspec.Struct, frozen=True):
    """A page of that listing."""

    items: tuple[ListedRequest, ...] = ()
    next_cursor: str | None = None


class Price(msgspec.Struct, frozen=True):
    """What FAL asks for one unit of an endpoint's work, in `currency`."""

    endpoint_id: str
    unit_price: float
    unit: str | None = None
    currency: str | None = None


class PriceList(msgspec.Struct, frozen=True):
    """The reply of the pricing call."""

    prices: tuple[Price, ...] = ()


class ModelMetadata(msgspec.Struct, frozen=True):
    """What FAL says of an endpoint to people."""

    display_name: str | None = None
    category: str | None = None
    description: str | None = None
    status: str | None = None
    thumbnail_url: str | None = None


class ModelEntry(msgspec.Struct, frozen=True):
    """One endpoint in the list of models."""

    endpoint_id: str
    metadata: ModelMetadata = ModelMetadata()


class ModelList(msgspec.Struct, frozen=True):
    """The reply of the models call."""

    models: tuple[ModelEntry, ...] = ()


class Jwk(msgspec.Struct, frozen=True):
    """One public key of FAL's webhooks; `x` is base64url."""

    x: str


class Jwks(msgspec.Struct, frozen=True):
    """The set of them."""

    keys: tuple[Jwk, ...] = ()


class WebhookBody(msgspec.Struct, frozen=True):
    """What FAL posts when a request has ended."""

    request_id: str
    status: str
    gateway_request_id: str | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")
    payload_error: msgspec.Raw = msgspec.Raw(b"null")


_STRUCTS: Final = tuple(
    one for one in tuple(globals().values()) if isinstance(one, type) and issubclass(one, msgspec.Struct)
)
_SHAPES: Final = (*_STRUCTS, tuple[ModelError, ...], int | None, str, object)
_DECODERS: Final[dict[object, msgspec.json.Decoder[Any]]] = {
    shape: msgspec.json.Decoder(shape, strict=False) for shape in _SHAPES
}
"""One for each shape that this package reads, made at import: made at each call, in threads, they have ended
workers by a null pointer in msgspec's extension."""


def decode(body: bytes, shape: type[T]) -> T:
    """The body as this shape, which is one of `_SHAPES`.

    Raises msgspec.DecodeError (its ValidationError too) when it is not that, also for text that is no UTF-8
    and for what is nested too deeply, of which msgspec's own errors are others.
    """
    try:
        found: T = _DECODERS[shape].decode(body)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error
    return found
