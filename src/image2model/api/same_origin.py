"""Whether a request that comes with a cookie was made by our own page.

Who calls it: the gate, for requests by cookie that change something. A browser sends the cookie along
whoever made the request; `SameSite=Strict` keeps other sites' out, and this keeps out what it does not:
other ports and subdomains of the same site, and browsers without it.
"""

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from image2model.errors import Forbidden

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
