"""Asking FAL to stop a request. Only following it tells whether it did.

Who calls it: the gateway.
"""

from enum import StrEnum

import msgspec

from image2model.domain import FalRequest
from image2model.fal.failures import FalUnreachable
from image2model.fal.session import FalSession
from image2model.fal.wire import CancelStatus, decode
from image2model.fal.words import words_of


class CancelReply(StrEnum):
    """FAL's three answers."""

    REQUESTED = "CANCELLATION_REQUESTED"
    ALREADY_COMPLETED = "ALREADY_COMPLETED"
    NOT_FOUND = "NOT_FOUND"


_BY_STATUS = {
    200: CancelReply.REQUESTED,
    202: CancelReply.REQUESTED,
    400: CancelReply.ALREADY_COMPLETED,
    404: CancelReply.NOT_FOUND,
}


async def cancel(session: FalSession, request: FalRequest) -> CancelReply:
    """FAL's answer; asking twice does no harm. Raises FalUnreachable when there is none of the three."""
    reply = await session.call("PUT", request.cancel_url)
    try:
        return CancelReply(decode(reply.body, CancelStatus).status)
    except (msgspec.DecodeError, ValueError):
        pass
    if reply.status in _BY_STATUS:
        return _BY_STATUS[reply.status]
    said = words_of(reply.body, reply.status).message
    raise FalUnreachable(f"FAL answered the cancel with {reply.status}: {said}", status=reply.status)
