"""Forwarded headers: what proxies report about the client, trusted only from `I2M_TRUSTED_PROXIES`.

The client's address is the last address in the chain that no trusted proxy has, as uvicorn finds it.
"""

from collections.abc import Sequence
from typing import Final, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn._types import ASGI3Application
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_SCHEME: Final = b"x-forwarded-proto"


def behind_proxies(app: ASGIApp, trusted: Sequence[str]) -> ASGIApp:
    """The application, wrapped so that it trusts these proxies; unchanged if there are none."""
    if not trusted:
        return app
    trusting = ProxyHeadersMiddleware(cast("ASGI3Application", app), trusted_hosts=list(trusted))
    return FirstScheme(cast("ASGIApp", trusting))


class FirstScheme:
    """Keeps the first of several schemes in `X-Forwarded-Proto` (`https, http`: each proxy adds its own).

    The first is the browser's scheme, which decides whether the page's cookie is `Secure`. uvicorn ignores
    lists. A client that invents a scheme harms only itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            schemes = [value for name, value in scope["headers"] if name == _SCHEME]
            if len(schemes) > 1 or b"," in b"".join(schemes):
                first = b",".join(schemes).partition(b",")[0].strip().lower()
                others = [header for header in scope["headers"] if header[0] != _SCHEME]
                scope = {**scope, "headers": [*others, (_SCHEME, first)]}
        await self.app(scope, receive, send)
