"""The JSON that FAL sends, as Structs. Unknown fields are ignored; a field that FAL may leave out is
optional.

All decoding goes through `decode`.
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
    """The status of a request, polled or streamed. A Raw field may hold any JSON."""

    status: str
    queue_position: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")
    error_type: msgspec.Raw = msgspec.Raw(b"null")


class CancelStatus(msgspec.Struct, frozen=True):
    """The reply to a cancel."""

    status: str


class UploadToken(msgspec.Struct, frozen=True):
    """The token for uploads, used in place of the key. `expires_at` has a time zone."""

    token: str
    token_type: str
    expires_at: datetime


class Uploaded(msgspec.Struct, frozen=True):
    """The reply of the media host: the public URL of the file."""

    access_url: str


class UploadSlot(msgspec.Struct, frozen=True):
    """The older way to upload: the URL for the PUT, and the URL of the stored file."""

    upload_url: str
    file_url: str


class Failure(msgspec.Struct, frozen=True):
    """An error body: `detail` is a text for request errors, a list for model errors.

    Servers in between, and some models, use `error` or `message` instead.
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
    """One request in the listing by endpoint, with its input and output where payloads were requested.

    `ended_at` is set once it has ended; `status_code` is then that of its result.
    """

    request_id: str
    json_input: msgspec.Raw = msgspec.Raw(b"null")
    json_output: msgspec.Raw = msgspec.Raw(b"null")
    ended_at: str | None = None
    status_code: int | None = None


class RequestPage(msgspec.Struct, frozen=True):
    """A page of the listing."""

    items: tuple[ListedRequest, ...] = ()
    next_cursor: str | None = None


class Price(msgspec.Struct, frozen=True):
    """FAL's price of one unit of an endpoint's work, in `currency`."""

    endpoint_id: str
    unit_price: float
    unit: str | None = None
    currency: str | None = None


class PriceList(msgspec.Struct, frozen=True):
    """The reply of the pricing call."""

    prices: tuple[Price, ...] = ()


class SignedAddress(msgspec.Struct, frozen=True):
    """The reply to a call that signs a file's address."""

    signed_url: str


class DeletedFile(msgspec.Struct, frozen=True):
    """What became of one output file: `exception` is null once it is deleted."""

    link: str | None = None
    exception: msgspec.Raw = msgspec.Raw(b"null")


class DeletedPayloads(msgspec.Struct, frozen=True):
    """The reply to the deletion of a request's payloads. The payloads are gone; files may be left."""

    cdn_delete_results: tuple[DeletedFile, ...]

    @property
    def left(self) -> tuple[str, ...]:
        """Why files are left, a text for each, without its address: whoever has that may open the file."""
        return tuple(
            bytes(one.exception).decode(errors="replace").replace(one.link or "\0", "its URL")[:200]
            for one in self.cdn_delete_results
            if bytes(one.exception) != b"null"
        )


class ModelMetadata(msgspec.Struct, frozen=True):
    """FAL's description of an endpoint."""

    display_name: str | None = None
    category: str | None = None
    description: str | None = None
    status: str | None = None
    thumbnail_url: str | None = None
    license_type: str | None = None


class ModelEntry(msgspec.Struct, frozen=True):
    """One endpoint in the list of models; `openapi` is its OpenAPI document where that was requested."""

    endpoint_id: str
    metadata: ModelMetadata = ModelMetadata()
    openapi: msgspec.Raw = msgspec.Raw(b"null")


class ModelList(msgspec.Struct, frozen=True):
    """The reply of the models call: one page. `next_cursor` is null on the last one."""

    models: tuple[ModelEntry, ...] = ()
    next_cursor: str | None = None
    has_more: bool = False


class Credits(msgspec.Struct, frozen=True):
    """The account's balance in `currency`."""

    current_balance: float
    currency: str | None = None


class Billing(msgspec.Struct, frozen=True):
    """The reply of the billing call; `credits` only where they were requested."""

    credits: Credits | None = None


class Jwk(msgspec.Struct, frozen=True):
    """One public key of FAL's webhooks; `x` is base64url."""

    x: str


class Jwks(msgspec.Struct, frozen=True):
    """FAL's set of public keys."""

    keys: tuple[Jwk, ...] = ()


class WebhookBody(msgspec.Struct, frozen=True):
    """FAL's webhook about the end of a request."""

    request_id: str
    status: str
    gateway_request_id: str | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")
    payload_error: msgspec.Raw = msgspec.Raw(b"null")


_STRUCTS: Final = tuple(
    one for one in tuple(globals().values()) if isinstance(one, type) and issubclass(one, msgspec.Struct)
)
_SHAPES: Final = (*_STRUCTS, tuple[ModelError, ...], int | None, str, dict[str, object], object)
_DECODERS: Final[dict[object, msgspec.json.Decoder[Any]]] = {
    shape: msgspec.json.Decoder(shape, strict=False) for shape in _SHAPES
}
"""One decoder for each shape, made at import: decoders made at each call, in threads, have crashed workers
with a null pointer in msgspec's extension."""


def decode(body: bytes, shape: type[T]) -> T:
    """The body as this shape, which is one of `_SHAPES`.

    Raises msgspec.DecodeError (also its ValidationError) where it does not fit, also for invalid UTF-8 and
    for nesting that is too deep, for which msgspec itself raises other errors.
    """
    try:
        found: T = _DECODERS[shape].decode(body)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error
    return found
