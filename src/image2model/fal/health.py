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
from image2model.fal.words import blames_account, words_of

_TIMEOUT = aiohttp.ClientTimeout(total=5)


class FalHealth(msgspec.Struct, frozen=True):
    """`reason` is what to blame when it is not ok. `endpoint`: a 403 that says nothing about the account, so
    that only an image of another endpoint can tell."""

    ok: bool
    detail: str
    reason: Literal["account", "endpoint", "unreachable"] | None = None


async def probe(session: FalSession, endpoint_id: str) -> FalHealth:
    """Asks for a request that cannot exist: 404 means that FAL is there and knows the key."""
    url = session.hosts.request(endpoint_id, str(uuid4())).status_url
    try:
        reply = await session.call("GET", url, timeout=_TIMEOUT)
    except FalUnreachable as error:
        return FalHealth(ok=False, detail=error.message, reason="unreachable")
    if reply.status == 404:
        return FalHealth(ok=True, detail="FAL answers and accepts the key")
    said = words_of(reply.body, reply.status)
    if reply.status == 403 and not blames_account(said):
        detail = f"FAL answers, and refuses {endpoint_id}: {said.message}"
        return FalHealth(ok=False, detail=detail, reason="endpoint")
    if reply.status in (401, 403):
        return FalHealth(ok=False, detail=f"FAL refuses the key: {said.message}", reason="account")
    return FalHealth(ok=False, detail=f"FAL answers {reply.status}: {said.message}", reason="unreachable")
