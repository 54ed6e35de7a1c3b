"""One id for each request: in every log line, in every problem, and on every answer.

Who calls it: the application, as its outermost middleware; others read the id by `request_id(scope)`.
"""

import asyncio
import re
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, cast

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from image2model.errors import Problem, StoreUnavailable
from image2model.http import problems
from image2model.storage.errors import StorageError
from image2model.store.connection import StoreOutage
from image2model.telemetry.metrics import UNEXPECTED_ERRORS

if TYPE_CHECKING:
    from image2model.api.state import ApiState


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


_log: Final = structlog.stdlib.get_logger(__name__)


class ProblemAnswers:
    """Once an answer has begun it cannot be changed: the error goes on, and the server cuts the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def watched_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        problem: Problem | None = None
        try:
            await self.app(scope, receive, watched_send)
        except ClientDisconnect:
            _log.info("client_disconnected")
        except asyncio.CancelledError:
            # the server stops and waits no longer; without an answer of ours it would say 500
            if not begun:
                stopping = StoreUnavailable.after("This server is stopping. Try again at once.", 1)
                await problems.render(stopping, request_id(scope))(scope, receive, send)
            raise
        except Exception as error:
            if isinstance(error, StoreOutage):
                _note_outage(scope)
            problem = _problem_of(error)
            if begun:
                raise
        if problem is not None:
            await problems.render(problem, request_id(scope))(scope, receive, send)


def _note_outage(scope: Scope) -> None:
    """What readiness says of the store must not be older than what a client was told."""
    state = scope.get("state", {}).get("api")
    if state is not None:
        cast("ApiState", state).write_probe.forget()


def _problem_of(error: Exception) -> Problem:
    """The problem to tell, without the frames it was raised in.

    They hold what was received of a refused upload, and the answer may wait for the rest of its body.
    """
    if isinstance(error, Problem):
        error.__cause__ = error.__context__ = error.__traceback__ = None
        return error
    if isinstance(error, StoreOutage | StorageError):
        _log.error("store_unavailable", reason=str(error), kind=type(error).__name__)
        return problems.store_unavailable(error)
    UNEXPECTED_ERRORS.labels("http").inc()
    _log.error("internal_error", exc_info=error)
    return problems.internal_error()
