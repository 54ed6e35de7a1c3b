"""What a reply means where no paid request hangs on it: uploads and the calls of the platform API.

Who calls it: uploads, the platform calls. Results and submits have verdicts of their own.
"""

from typing import TypeVar

import msgspec

from image2model.errors import FalAccountFault, FalError, FalTransient
from image2model.fal.session import Reply
from image2model.fal.wire import decode
from image2model.fal.words import blames_account, words_of

T = TypeVar("T")


def refuse(reply: Reply) -> FalError:
    """The error that a reply other than success means: the account's fault, or one that may pass."""
    said = words_of(reply.body, reply.status, reply.headers.get("x-fal-error-type"))
    if reply.status in (401, 403):
        kind = "locked" if blames_account(said) else said.type
        return FalAccountFault(said.message, status=reply.status, fal_type=kind)
    return FalTransient(
        f"{reply.url} answered {reply.status}: {said.message}", status=reply.status, fal_type=said.type
    )


def read(reply: Reply, shape: type[T]) -> T:
    """A success's content as this shape. Raises what `refuse` gives, FalTransient when it is unreadable."""
    if reply.status >= 300:
        raise refuse(reply)
    try:
        return decode(reply.body, shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"{reply.url} answered what cannot be read: {error}"
        raise FalTransient(message, status=reply.status) from error
