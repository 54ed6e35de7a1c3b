"""What a reply to the question for a result means where it is no result.

Who calls it: the result, the follower and the listing of requests. Pure.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from image2model.errors import FalError, FalRejected, FalResultGone, FalTransient
from image2model.fal.billing import billable_units
from image2model.fal.failures import FalCancelled, FalUnfinished, FalUnreachable
from image2model.fal.session import Reply
from image2model.fal.wire import Status, decode
from image2model.fal.words import words_of

_RETRY_HEADERS: Final = ("x-fal-retryable", "x-fal-needs-retry")
_NOT_NOW: Final = frozenset({401, 403, 408, 425, 429})
_RUNNING: Final = ("IN_QUEUE", "IN_PROGRESS")


def failure_of(reply: Reply) -> FalError:
    """The error that a reply other than 200 means."""
    status = reply.status
    said = words_of(reply.body, status, reply.headers.get("x-fal-error-type"))
    units = billable_units(reply.headers)
    if status == 202 or (status == 400 and "still in progress" in said.message.lower()):
        return FalUnfinished(said.message, status=status)
    if status in _NOT_NOW or reply.from_ingress or status < 400:
        # The result exists; it is only not to be had now, by us, or through this ingress.
        return FalUnreachable(f"the result is not to be had: {said.message}", status=status)
    if status in (404, 410):
        return FalResultGone("FAL no longer has the result", status=status, fal_type=said.type)
    if status == 499:
        return FalCancelled(said.message, status=status, fal_type=said.type, billable_units=units)
    lasting = status < 500 and said.type != "downstream_service_error"
    kind = FalTransient if _retryable(reply.headers, default=not lasting) else FalRejected
    return kind(said.message, status=status, fal_type=said.type, billable_units=units)


def has_ended(reply: Reply) -> bool:
    """Whether the request behind the reply has ended, however."""
    if reply.status == 200:
        return not is_status(reply.body)
    return reply.status >= 300 and not isinstance(failure_of(reply), (FalUnreachable, FalUnfinished))


def is_status(body: bytes) -> bool:
    """Whether FAL answered with the request's state in place of its result."""
    try:
        return decode(body, Status).status.strip().upper() in _RUNNING
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _retryable(headers: Mapping[str, str], *, default: bool) -> bool:
    for name in _RETRY_HEADERS:
        if value := headers.get(name):
            return default and value.strip().lower() not in ("0", "false", "no")
    return default
