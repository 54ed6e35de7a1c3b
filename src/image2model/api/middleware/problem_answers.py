"""Whatever the application raises becomes an answer here, and only here.

Who calls it: the application. A `Problem` is rendered; a client that went away is nothing to tell of;
a store or storage that fails is `store_unavailable`;
anything else is a fault of ours, logged with its traceback and told as `internal_error`.
"""

import asyncio
from typing import TYPE_CHECKING, Final, cast

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from image2model.api import problems
from image2model.api.middleware.request_id import request_id
from image2model.errors import Problem, StoreUnavailable
from image2model.storage.errors import StorageError
from image2model.store.connection import StoreOutage
from image2model.telemetry.metrics import UNEXPECTED_ERRORS

if TYPE_CHECKING:
    from image2model.api.state import ApiState

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
