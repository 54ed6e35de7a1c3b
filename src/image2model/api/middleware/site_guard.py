"""Keeps other web sites away from the service: `SiteGuard` without keys, `HostCheck` with keys.

Under `I2M_AUTH=none` any page in a browser could post to a loopback address, and could read the answers after
rebinding its own name to that address. So a request must name a host of ours, and a browser must report that
the request comes from our own pages.
"""

import ipaddress
import re
from collections.abc import Awaitable, Iterable
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from image2model.access.sessions import same_origin
from image2model.errors import Forbidden

_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>\d{1,5}))?", re.ASCII)
_CHECKED_HEADERS: Final = frozenset({b"host", b"origin", b"sec-fetch-site"})
_UNCHECKED_PATHS: Final = re.compile(r"/api/v1/health/(live|ready)|/metrics", re.ASCII)
_MAX_PASSED: Final = 256
_OWN_SITE: Final = frozenset({"same-origin", "none"})
_UNKNOWN_HOST: Final = "The Host header is not a host name of this service. Add it to I2M_ALLOWED_HOSTS."


class HostCheck:
    """With keys: refuses a Host that is not in `I2M_ALLOWED_HOSTS`, if that is set.

    Health and metrics are exempt: they are requested by address, and a name would protect nothing there.
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Iterable[str]) -> None:
        self.app = app
        self.allowed_hosts = frozenset(host.lower().rstrip(".") for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _UNCHECKED_PATHS.fullmatch(scope["path"]):
            host = _single(Headers(scope=scope), "host")
            if host is None or not is_ours(host.lower(), self.allowed_hosts):
                raise Forbidden(_UNKNOWN_HOST)
        await self.app(scope, receive, send)


class SiteGuard:
    """Without keys: refuses foreign hosts and foreign sites with 403 `forbidden`.

    `allowed_hosts` are further host names without port, beside the loopback ones; `allowed_origins` are
    foreign origins (`https://app.example`) that may call.
    """

    def __init__(
        self, app: ASGIApp, *, allowed_hosts: Iterable[str] = (), allowed_origins: Iterable[str] = ()
    ) -> None:
        self.app = app
        self.allowed_hosts = frozenset(host.lower().rstrip(".") for host in allowed_hosts)
        self.allowed_origins = frozenset(origin.lower() for origin in allowed_origins)
        self._passed: set[tuple[tuple[bytes, bytes], ...]] = set()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Not a coroutine, which would add a stack frame to each open stream."""
        if scope["type"] == "http":
            self._check_once(tuple(one for one in scope["headers"] if one[0] in _CHECKED_HEADERS))
        return self.app(scope, receive, send)

    def _check_once(self, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        """Check each combination of headers once, because all requests of a client have the same."""
        if headers in self._passed:
            return
        self._check(Headers(raw=list(headers)))
        if len(self._passed) >= _MAX_PASSED:
            self._passed.clear()
        self._passed.add(headers)

    def _check(self, headers: Headers) -> None:
        host = _single(headers, "host")
        if host is None or not is_ours(host.lower(), self.allowed_hosts):
            raise Forbidden(_UNKNOWN_HOST)
        origin = _single(headers, "origin")
        if origin is not None and origin.lower() in self.allowed_origins:
            return
        if origin is not None and not same_origin(origin.lower(), host.lower()):
            raise Forbidden("Another site may not call this service. Add its origin to I2M_CORS_ORIGINS.")
        if headers.get("sec-fetch-site", "none").lower() not in _OWN_SITE:
            raise Forbidden("Another site may not call this service. Open its own page, or use a client.")


def is_ours(host: str, allowed: frozenset[str]) -> bool:
    """Whether a Host header's value, in lower case, is one of these names or a loopback address."""
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found["name"].rstrip(".")
    return name in allowed or is_loopback(name)


def is_loopback(name: str) -> bool:
    """Whether a Host header's name is `localhost` or a loopback address."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _single(headers: Headers, name: str) -> str | None:
    """The header's value; several values are joined, which no check accepts."""
    values = headers.getlist(name)
    return ",".join(values) if values else None
