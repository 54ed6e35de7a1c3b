"""What a request presents: a key in `Authorization`, or the page's cookie. Who calls it: the gate.

It only reads headers. The key itself goes no further than its digest.
"""

from typing import Final

from starlette.types import Scope

from image2model.errors import Unauthenticated
from image2model.store.api_keys import digest
from image2model.store.lookups import Credential

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
