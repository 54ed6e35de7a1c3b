"""Who is asking, and what they may use.

Who calls it: every route, through the application's state. A route never looks at credentials itself.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec
from starlette.types import Scope

from image2model.errors import Forbidden
from image2model.store.accounts import Allowance
from image2model.store.api_keys import Rate, Role
from image2model.store.heads import JobHead
from image2model.store.lookups import Credential


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The caller. `owner` is whose jobs it sees and makes; without an `allowance` it may use all there is.

    `credential` is what was presented, `key` the digest of the key behind it; there is neither under
    `I2M_AUTH=none`.
    """

    owner: str
    role: Role
    name: str = ""
    key: str = ""
    credential: Credential | None = None
    rate: Rate | None = None
    allowance: Allowance | None = None


Authenticate = Callable[[Scope], Awaitable[Principal]]
"""Tells who sent a request. Raises Unauthenticated, Forbidden, RateLimited."""


class Gate(Protocol):
    """The door: who may come in, and how often."""

    async def authenticate(self, scope: Scope) -> Principal:
        """Raises Unauthenticated, Forbidden, and RateLimited for an address that guesses."""

    async def with_job(self, scope: Scope, job_id: str) -> tuple[Principal, JobHead | None]:
        """The caller and the head of the job that it names, in one round trip."""

    async def sign_in(self, scope: Scope, secret: str) -> Principal:
        """Whose key this is. Raises Unauthenticated, and RateLimited for an address that guesses."""

    def watching(self, principal: Principal, sever: Callable[[], None]) -> AbstractContextManager[None]:
        """For the life of a stream: `sever` is called when the caller is no longer let in."""

    async def count(self, scope: Scope, principal: Principal) -> None:
        """Count a request that the rate limits count. Raises RateLimited."""


def require_admin(principal: Principal) -> None:
    """Raises Forbidden for anybody else."""
    if principal.role != "admin":
        raise Forbidden("This needs a key with the role `admin`.")
