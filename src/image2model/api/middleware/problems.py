"""Request ids, and the one place where errors become answers.

`RequestId` gives each request an id, which is in every log line, every problem and every answer.
`ProblemAnswers` turns every exception into a problem document; an unexpected error shows nothing of the
inside.
"""

import asyncio
import re
import secrets
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from image2model.api.middleware.answer import Answer, Head
from image2model.errors import Problem, StoreUnavailable
from image2model.http import problems
from image2model.storage.errors import StorageError
from image2model.store.connection import StoreOutage
from image2model.telemetry.metrics import REFUSALS, UNEXPECTED_ERRORS

if TYPE_CHECKING:
    from image2model.api.state import ApiState

_log: Final = structlog.stdlib.get_logger(__name__)
_HEADER: Final = b"x-request-id"
_ACCEPTED_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}", re.ASCII)
_KEY: Final = "image2model.request_id"


class RequestId:
    """Uses the caller's `X-Request-ID` if it is well-formed, else a new id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identity = scope[_KEY] = _own_or_new(scope["headers"])
        answer = Answer.of(send)
        answer.on_head(partial(_identify, identity.encode()))
        bound = structlog.contextvars.bind_contextvars(request_id=identity)
        try:
            await self.app(scope, receive, answer)
        finally:
            structlog.contextvars.reset_contextvars(**bound)


class ProblemAnswers:
    """Answers errors with problems; after an answer has begun, the server aborts it instead."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = Answer.of(send)
        problem: Problem | None = None
        try:
            await self.app(scope, receive, answer)
        except ClientDisconnect:
            _log.info("client_disconnected")
        except asyncio.CancelledError:
            # the server stops waiting; without this answer it would send a 500
            if not answer.started:
                stopping = StoreUnavailable.after("This server is stopping. Try again at once.", 1)
                await problems.render(stopping, request_id(scope))(scope, receive, answer)
            raise
        except Exception as error:
            if isinstance(error, StoreOutage):
                _forget_write_probe(scope)
            problem = _problem_of(error)
            REFUSALS.labels(problem.code).inc()
            if answer.started:
                raise
        if problem is not None:
            await problems.render(problem, request_id(scope))(scope, receive, answer)


def request_id(scope: Scope) -> str:
    """The id of the request; empty outside the middleware."""
    found: str = scope.get(_KEY, "")
    return found


def _identify(identity: bytes, head: Head) -> None:
    others = [one for one in head["headers"] if one[0] != _HEADER]
    head["headers"] = [*others, (_HEADER, identity)]


def _own_or_new(headers: Iterable[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == _HEADER:
            given = value.decode("latin-1")
            if _ACCEPTED_ID.fullmatch(given):
                return given
            break
    return secrets.token_hex(16)


def _forget_write_probe(scope: Scope) -> None:
    """A client has seen that the store is away: readiness must not report an older, better state."""
    state = scope.get("state", {}).get("api")
    if state is not None:
        cast("ApiState", state).write_probe.forget()


def _problem_of(error: Exception) -> Problem:
    """The problem that answers an error, without its traceback.

    The traceback's frames hold the received part of a refused upload, and the answer may wait for the rest.
    """
    if isinstance(error, HTTPException):
        return problems.of_http_exception(error)
    if isinstance(error, Problem):
        error.__cause__ = error.__context__ = error.__traceback__ = None
        return error
    if isinstance(error, StoreOutage | StorageError):
        _log.error("store_unavailable", reason=str(error), kind=type(error).__name__)
        return problems.store_unavailable(error)
    UNEXPECTED_ERRORS.labels("http").inc()
    _log.error("internal_error", exc_info=error)
    return problems.internal_error()
