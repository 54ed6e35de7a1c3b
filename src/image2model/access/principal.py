"""Who is asking, and what they may use.

Who calls it: every route, through the application's state. A route never looks at credentials itself.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Final, Protocol

import msgspec
from starlette.types import Scope

from image2model.access.accounts import Allowance
from image2model.access.keys import Rate, Role, digest
from image2model.access.lookup import Credential, JobLookup
from image2model.errors import Forbidden, Unauthenticated


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

    async def with_job(self, scope: Scope, job_id: str) -> tuple[Principal, JobLookup | None]:
        """The caller and the head of the job that it names, in one round trip."""

    async def sign_in(self, scope: Scope, secret: str) -> Principal:
        """Whose key this is. Raises Unauthenticated, and RateLimited for an address that guesses."""

    def watching(self, principal: Principal, abort: Callable[[], None]) -> AbstractContextManager[None]:
        """For the life of a stream: `sever` is called when the caller is no longer let in."""

    async def count(self, scope: Scope, principal: Principal) -> None:
        """Count a request that the rate limits count. Raises RateLimited."""


def require_admin(principal: Principal) -> None:
    """Raises Forbidden for anybody else."""
    if principal.role != "admin":
        raise Forbidden("This needs a key with the role `admin`.")


COOKIE: Final = "i2m_session"
COOKIE_BY_HTTPS: Final = f"__Host-{COOKIE}"
"""Browsers take this name only by https, for the whole of this host and no other: a neighbour on the same
domain cannot plant a session of its own."""
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="image2model"'}
_LONGEST: Final = 512


def credential_of(scope: Scope) -> Credential:
    """The key of the Authorization header, or else the session's cookie. Raises Unauthenticated."""
    secret = key_of_header(scope)
    if secret is not None:
        return Credential("key", digest(secret))
    cookie = _session_cookie(scope)
    if cookie is None:
        raise unauthenticated("Send an API key: `Authorization: Bearer <key>`.")
    return Credential("session", digest(cookie))


def key_of_header(scope: Scope) -> str | None:
    """The key of the Authorization header, None without one. Raises Unauthenticated for another scheme."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return _bearer(value)
    return None


def cookie_name(scope: Scope) -> str:
    """The session's cookie, by the scheme that the client used as far as a trusted proxy or TLS tells it."""
    return COOKIE_BY_HTTPS if scope["scheme"] == "https" else COOKIE


def _session_cookie(scope: Scope) -> str | None:
    wanted = cookie_name(scope).encode() + b"="
    for name, value in scope["headers"]:
        if name == b"cookie":
            for pair in value.split(b";"):
                if pair.strip().startswith(wanted) and len(pair) < _LONGEST:
                    return str(pair.strip()[len(wanted) :], "latin-1")
    return None


def unauthenticated(detail: str) -> Unauthenticated:
    """The refusal, with the challenge that RFC 9110 asks for."""
    return Unauthenticated(detail, headers=CHALLENGE)


def _bearer(header: bytes) -> str:
    """The first admin key is a person's own text: curl sends it as UTF-8, others as Latin-1."""
    scheme, _, secret = header.partition(b" ")
    secret = secret.strip()
    if scheme.lower() != b"bearer" or not secret or len(secret) > _LONGEST:
        raise unauthenticated("The Authorization header must be `Bearer <key>`.")
    try:
        return secret.decode()
    except UnicodeDecodeError:
        return secret.decode("latin-1")
