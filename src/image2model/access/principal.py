"""The principal of a request: who the caller is and what it may use.

A route gets its principal from the process's `Gate` and never reads credentials itself. This module finds
the credential in a request's headers.
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

COOKIE: Final = "i2m_session"
SECURE_COOKIE: Final = f"__Host-{COOKIE}"
"""Browsers accept this name only over https and only for this exact host, so another host of the same domain
cannot plant a session of its own."""
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="image2model"'}
_MAX_LENGTH: Final = 512


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The caller. `owner` owns the jobs that it sees and creates; without an `allowance` it has no limits.

    `credential` is what the request presented, `key` the digest of the key behind it. Under `I2M_AUTH=none`
    both are missing.
    """

    owner: str
    role: Role
    name: str = ""
    key: str = ""
    credential: Credential | None = None
    rate: Rate | None = None
    models: tuple[str, ...] = ()
    """Patterns of the models that its key may use; none: all on offer."""
    allowance: Allowance | None = None


class Gate(Protocol):
    """Authenticates requests and counts them against the rate limits."""

    async def authenticate(self, scope: Scope) -> Principal:
        """Raises Unauthenticated, Forbidden, and RateLimited for an address that guesses."""

    async def authenticate_with_job(self, scope: Scope, job_id: str) -> tuple[Principal, JobLookup | None]:
        """The caller and the lookup of the job, in one round trip. Raises as `authenticate` does."""

    async def sign_in(self, scope: Scope, secret: str) -> Principal:
        """The principal of this key. Raises Unauthenticated, and RateLimited for an address that guesses."""

    def watch_stream(self, principal: Principal, abort: Callable[[], None]) -> AbstractContextManager[None]:
        """While the block runs: call `abort` as soon as the caller's key or session is no longer valid."""

    async def count(self, scope: Scope, principal: Principal) -> None:
        """Count a request against the rate limits. Raises RateLimited."""


def require_admin(principal: Principal) -> None:
    """Raises Forbidden unless the caller has the role `admin`."""
    if principal.role != "admin":
        raise Forbidden("This call needs a key with the role `admin`.")


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
    """The key of the Authorization header, None without it. Raises Unauthenticated for another scheme."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return _bearer(value)
    return None


def cookie_name(scope: Scope) -> str:
    """The name of the session's cookie, by the scheme that TLS or a trusted proxy reports."""
    return SECURE_COOKIE if scope["scheme"] == "https" else COOKIE


def unauthenticated(detail: str) -> Unauthenticated:
    """The refusal, with the challenge that RFC 9110 requires."""
    return Unauthenticated(detail, headers=CHALLENGE)


Authenticate = Callable[[Scope], Awaitable[Principal]]
"""Finds the principal of a request. Raises Unauthenticated, Forbidden, RateLimited."""


def _session_cookie(scope: Scope) -> str | None:
    wanted = cookie_name(scope).encode() + b"="
    for name, value in scope["headers"]:
        if name == b"cookie":
            for pair in value.split(b";"):
                if pair.strip().startswith(wanted) and len(pair) < _MAX_LENGTH:
                    return str(pair.strip()[len(wanted) :], "latin-1")
    return None


def _bearer(header: bytes) -> str:
    """The first admin key is free text: curl sends it as UTF-8, other clients as Latin-1."""
    scheme, _, secret = header.partition(b" ")
    secret = secret.strip()
    if scheme.lower() != b"bearer" or not secret or len(secret) > _MAX_LENGTH:
        raise unauthenticated("The Authorization header must be `Bearer <key>`.")
    try:
        return secret.decode()
    except UnicodeDecodeError:
        return secret.decode("latin-1")
