"""What proxies say of the client, believed only from the addresses in `I2M_TRUSTED_PROXIES`.

Who calls it: the server, around the application. The client's address is the last one that no trusted proxy
has, as uvicorn finds it.
"""

from collections.abc import Sequence
from typing import Final, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn._types import ASGI3Application
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_SCHEME: Final = b"x-forwarded-proto"


def behind_proxies(app: ASGIApp, trusted: Sequence[str]) -> ASGIApp:
    """The application as these proxies are to be believed; unchanged where there are none."""
    if not trusted:
        return app
    believing = ProxyHeadersMiddleware(cast("ASGI3Application", app), trusted_hosts=list(trusted))
    return FirstScheme(cast("ASGIApp", believing))


class FirstScheme:
    """Of several schemes in `X-Forwarded-Proto` (`https, http`: each proxy adds its own) the first remains.

    It is what the browser used, which the page's cookie must be made for. uvicorn takes no list at all, and
    the cookie then was not `Secure`. A client that makes one up misleads nobody but itself.
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
