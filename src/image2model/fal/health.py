"""Whether FAL answers and accepts the key: the call that asks, at no cost, and what its answer means."""

from typing import Literal
from uuid import uuid4

import msgspec

from image2model.fal.errors import blames_account, message_of
from image2model.fal.hosts import FalHosts


class FalHealth(msgspec.Struct, frozen=True):
    """`reason` is the cause when it is not ok.

    `endpoint`: a 403 that says nothing about the account, so only an image of another endpoint can test that.
    """

    ok: bool
    detail: str
    reason: Literal["account", "endpoint", "unreachable"] | None = None


def probe_url(hosts: FalHosts, endpoint_id: str) -> str:
    """The status of a request that cannot exist: a GET of it with the key."""
    return hosts.request(endpoint_id, str(uuid4())).status_url


def health_of(endpoint_id: str, status: int, body: bytes) -> FalHealth:
    """What an answer to `probe_url` says: with 404, FAL answers and accepts the key."""
    if status == 404:
        return FalHealth(ok=True, detail="FAL answers and accepts the key")
    error = message_of(body, status)
    if status == 403 and not blames_account(error):
        detail = f"FAL answers, and refuses {endpoint_id}: {error.message}"
        return FalHealth(ok=False, detail=detail, reason="endpoint")
    if status in (401, 403):
        return FalHealth(ok=False, detail=f"FAL refuses the key: {error.message}", reason="account")
    return FalHealth(ok=False, detail=f"FAL answers {status}: {error.message}", reason="unreachable")
