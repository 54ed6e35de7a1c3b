"""Every refusal as an RFC 9457 document, by one renderer.

A 500 never shows anything of the inside. `type` is the stable name `urn:image2model:problem:<code>`: it
identifies a problem and is not meant to be fetched.
"""

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from image2model.errors import (
    BodyTooLarge,
    FileFault,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Problem,
    StoreUnavailable,
)
from image2model.store.condition import REFUSES_WRITES, StoreCondition, condition_of, describe

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = 5

_HTTP_PROBLEMS: dict[int, tuple[type[Problem], str]] = {
    404: (NotFound, "There is nothing here."),
    405: (MethodNotAllowed, "This address does not take that method; the Allow header names those it takes."),
    413: (BodyTooLarge, "The request body is too large."),
}


class ProblemDocument(msgspec.Struct, omit_defaults=True):
    """The body of every refusal. `errors` is there only where files are to blame."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: tuple[FileFault, ...] = ()


def document(problem: Problem, request_id: str) -> ProblemDocument:
    """The document of a problem raised during the request of that id."""
    return ProblemDocument(
        type=f"urn:image2model:problem:{problem.code}",
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        code=problem.code,
        request_id=request_id,
        errors=problem.errors,
    )


def render(problem: Problem, request_id: str) -> Response:
    """The response, with the problem's own headers; never cached."""
    return Response(
        msgspec.json.encode(document(problem, request_id)),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **problem.headers},
    )


def internal_error() -> InternalError:
    """The problem for a fault of ours."""
    return InternalError("Something went wrong here. Try again; if it persists, report the request id.")


def store_unavailable(error: Exception | None = None) -> Problem:
    """The problem while the store or the storage fails. `error` shows the store's condition, if it can."""
    condition = condition_of(error) if error is not None else None
    if condition is not None:
        return store_is(condition)
    return StoreUnavailable.after("The service cannot reach its store. Try again in a moment.", _RETRY_AFTER)


def store_is(condition: StoreCondition) -> Problem:
    """The problem for a request that needs a store in better condition."""
    description = describe(condition)
    sentence = f"{description[0].upper()}{description[1:]}."
    advice = (
        "Nothing was changed. Reading works." if condition in REFUSES_WRITES else "Try again in a moment."
    )
    return StoreUnavailable.after(f"{sentence} {advice}", _RETRY_AFTER)


def of_http_exception(error: HTTPException) -> Problem:
    """Starlette's own exception as one of our problems, its headers (such as `Allow`) kept."""
    if error.status_code not in _HTTP_PROBLEMS:
        return internal_error()
    problem, detail = _HTTP_PROBLEMS[error.status_code]
    return problem(detail, headers=error.headers)
