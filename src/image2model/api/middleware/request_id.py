"""One id for each request: in every log line, in every problem, and on every answer.

Who calls it: the application, as its outermost middleware; others read the id by `request_id(scope)`.
"""

import re
import secrets
from collections.abc import Iterable
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADER: Final = b"x-request-id"
_SANE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}", re.ASCII)
_KEY: Final = "image2model.request_id"


def request_id(scope: Scope) -> str:
    """The id of the request, or an empty string outside the middleware."""
    found: str = scope.get(_KEY, "")
    return found


class RequestId:
    """Takes over the caller's `X-Request-ID` if it is sane, else makes one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identity = scope[_KEY] = _chosen(scope["headers"])
        header = (_HEADER, identity.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [one for one in message["headers"] if one[0] != _HEADER]
                message["headers"] = [*others, header]
            await send(message)

        bound = structlog.contextvars.bind_contextvars(request_id=identity)
        try:
            await self.app(scope, receive, send_with_id)
        finally:
            structlog.contextvars.reset_contextvars(**bound)


def _chosen(headers: Iterable[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == _HEADER:
            given = value.decode("latin-1")
            if _SANE.fullmatch(given):
                return given
            break
    return secrets.token_hex(16)
