"""What a request presents: a key in `Authorization`, or the page's cookie. Who calls it: the gate.

It only reads headers. The key itself goes no further than its digest.
"""

from typing import Final

from starlette.types import Scope

from image2model.errors import Unauthenticated
from image2model.store.api_keys import digest
from image2model.store.lookups import Credential

COOKIE: Final = "i2m_session"
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="image2model"'}
_COOKIE: Final = COOKIE.encode() + b"="
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


def _session_cookie(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"cookie":
            for pair in value.split(b";"):
                if pair.strip().startswith(_COOKIE) and len(pair) < _LONGEST:
                    return str(pair.strip()[len(_COOKIE) :], "latin-1")
    return None


def unauthenticated(detail: str) -> Unauthenticated:
    """The refusal, with the challenge that RFC 9110 asks for."""
    return Unauthenticated(detail, headers=CHALLENGE)


def _bearer(header: bytes) -> str:
    scheme, _, secret = header.partition(b" ")
    secret = secret.strip()
    if scheme.lower() != b"bearer" or not secret or len(secret) > _LONGEST:
        raise unauthenticated("The Authorization header must be `Bearer <key>`.")
    return secret.decode("latin-1")
