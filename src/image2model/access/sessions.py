"""Sessions of the page: a random cookie that stands for a key until its time is up.

Who calls it: the session's routes. The store holds the cookie's SHA-256 and that of the key; a session
is as good as its key, which is looked at again with each request.
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
MOST: Final = 100
"""Sessions of one key: whoever has it could otherwise fill the store with them."""

_BEGIN: Final = Script("access/begin_session")


async def begin(redis: Redis, key_digest: str) -> str:
    """A new session of a key; returns the cookie's text. The oldest ends where there are `MOST`."""
    cookie = secrets.token_urlsafe(32)
    await _BEGIN.packed(redis, digest(cookie), key_digest, SESSION_TTL_SECONDS, MOST)
    return cookie


async def end(redis: Redis, cookie_digest: str) -> None:
    """The cookie opens nothing from now on."""
    await command(redis, "DEL", key("session", cookie_digest))


_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def check(scope: Scope) -> None:
    """Raises Forbidden unless `Sec-Fetch-Site` or `Origin` says that our own page sent it."""
    headers = Headers(scope=scope)
    if "origin" not in headers and "sec-fetch-site" not in headers:
        raise _forbidden()
    check_if_told(scope)


def check_if_told(scope: Scope) -> None:
    """Raises Forbidden where a browser says that another site sent it; other programs say nothing."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if headers.get("sec-fetch-site", "same-origin").lower() not in {"same-origin", "none"}:
        raise _forbidden()
    if origin is not None and not same_origin(origin.lower(), headers.get("host", "").lower()):
        raise _forbidden()


def _forbidden() -> Forbidden:
    return Forbidden(
        "A session's cookie changes something only from this service's own page. "
        "Other programs send `Authorization: Bearer <key>`."
    )


def same_origin(origin: str, host: str) -> bool:
    """Whether an origin is the request's own host and port. The scheme may differ behind a TLS proxy."""
    parts = urlsplit(origin)
    if parts.scheme not in _DEFAULT_PORTS or parts.path or parts.query:
        return False
    default = f":{_DEFAULT_PORTS[parts.scheme]}"
    return parts.netloc.removesuffix(default) == host.removesuffix(default)
