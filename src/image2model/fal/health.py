"""The readiness probe: is FAL reachable, and is the key good? It costs nothing.

Who calls it: the gateway, for health checks and for the half-open circuit. It cannot see an exhausted
balance: only a submit shows that.
"""

from typing import Literal
from uuid import uuid4

import aiohttp
import msgspec

from image2model.fal.failures import FalUnreachable
from image2model.fal.session import FalSession
from image2model.fal.words import words_of

_TIMEOUT = aiohttp.ClientTimeout(total=5)


class FalHealth(msgspec.Struct, frozen=True):
    """`reason` is what to blame when it is not ok."""

    ok: bool
    detail: str
    reason: Literal["account", "unreachable"] | None = None


async def probe(session: FalSession, endpoint_id: str) -> FalHealth:
    """Asks for a request that cannot exist: 404 means that FAL is there and knows the key."""
    url = session.hosts.request(endpoint_id, str(uuid4())).status_url
    try:
        reply = await session.call("GET", url, timeout=_TIMEOUT)
    except FalUnreachable as error:
        return FalHealth(ok=False, detail=error.message, reason="unreachable")
    if reply.status == 404:
        return FalHealth(ok=True, detail="FAL answers and accepts the key")
    said = words_of(reply.body, reply.status).message
    if reply.status in (401, 403):
        return FalHealth(ok=False, detail=f"FAL refuses the key: {said}", reason="account")
    return FalHealth(ok=False, detail=f"FAL answers {reply.status}: {said}", reason="unreachable")
