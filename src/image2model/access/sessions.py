"""Sessions of the page: a random cookie that stands for a key until it expires.

The store holds only the SHA-256 of the cookie and of the key. Each request looks the key up again, so a
session ends with its key. A change by cookie must come from the service's own page.
"""

import secrets
from typing import Final
from urllib.parse import urlsplit

from redis.asyncio import Redis
from starlette.datastructures import Headers
from starlette.types import Scope

from image2model.access.keys import digest
from image2model.errors import Forbidden
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.scripts import Script

SESSION_TTL_SECONDS: Final = 7 * 86_400
MAX_SESSIONS: Final = 100
"""Sessions of one key, so that a single key cannot fill the store with sessions."""
_BEGIN: Final = Script("access/begin_session")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


async def begin(redis: Redis, key_digest: str) -> str:
    """Begin a session of a key and return the cookie's text; the oldest ends beyond `MAX_SESSIONS`."""
    cookie = secrets.token_urlsafe(32)
    await _BEGIN.packed(redis, digest(cookie), key_digest, SESSION_TTL_SECONDS, MAX_SESSIONS)
    return cookie


async def end(redis: Redis, cookie_digest: str) -> None:
    """End the session."""
    await command(redis, "DEL", key("session", cookie_digest))


def require_same_origin(scope: Scope) -> None:
    """Raises Forbidden unless `Sec-Fetch-Site` or `Origin` shows that our own page sent the request."""
    headers = Headers(scope=scope)
    if "origin" not in headers and "sec-fetch-site" not in headers:
        raise _forbidden()
    refuse_other_sites(scope)


def refuse_other_sites(scope: Scope) -> None:
    """Raises Forbidden where a browser's headers show another site; other programs send no such headers."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if headers.get("sec-fetch-site", "same-origin").lower() not in {"same-origin", "none"}:
        raise _forbidden()
    if origin is not None and not same_origin(origin.lower(), headers.get("host", "").lower()):
        raise _forbidden()


def _forbidden() -> Forbidden:
    return Forbidden(
        "A session's cookie is accepted for changes only from this service's own page. "
        "From other programs, send `Authorization: Bearer <key>`."
    )


def same_origin(origin: str, host: str) -> bool:
    """Whether an origin is the request's own host and port. The scheme may differ behind a TLS proxy."""
    parts = urlsplit(origin)
    if parts.scheme not in _DEFAULT_PORTS or parts.path or parts.query:
        return False
    default = f":{_DEFAULT_PORTS[parts.scheme]}"
    return parts.netloc.removesuffix(default) == host.removesuffix(default)
