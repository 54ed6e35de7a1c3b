"""The answers of one operation as OpenAPI has them: those it gives, and its refusals by status.

Who calls it: the document.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from image2model import errors
from image2model.api.problems import MEDIA_TYPE, ProblemDocument, document
from image2model.api.reference import shared
from image2model.api.reference.operation import Answer, Header, Operation, SseEvent
from image2model.api.reference.problem_meanings import MEANINGS, blames_files
from image2model.api.reference.schemas import plain, reference
from image2model.errors import FileFault, Problem

_ALWAYS: Final = (errors.InternalError, errors.StoreUnavailable)
_BY_ACCESS: Final[dict[str, tuple[type[Problem], ...]]] = {
    "key": (errors.Unauthenticated, errors.Forbidden, errors.RateLimited),
    "admin": (errors.Unauthenticated, errors.Forbidden, errors.RateLimited),
    "metrics": (errors.Unauthenticated, errors.Forbidden, errors.RateLimited),
    "open": (errors.Forbidden,),
}
_HEADERS: Final[dict[int, tuple[Header, ...]]] = {
    401: (shared.CHALLENGE,),
    405: (shared.ALLOW,),
    409: (shared.RETRY_AFTER,),
    429: (shared.RETRY_AFTER,),
    503: (shared.RETRY_AFTER,),
}


def problems_of(operation: Operation) -> tuple[type[Problem], ...]:
    """Every refusal that the operation may answer with, each once."""
    return tuple(dict.fromkeys((*operation.problems, *_BY_ACCESS[operation.access], *_ALWAYS)))


def responses(operation: Operation) -> dict[str, Any]:
    """The `responses` object, by status."""
    found: dict[str, Any] = {
        str(one.status): _answer(one, counted=operation.counted) for one in operation.answers
    }
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in problems_of(operation):
        by_status.setdefault(problem.status, []).append(problem)
    for status, problems in by_status.items():
        refusal = _refusal(status, problems, counted=operation.counted)
        known = found.get(str(status))
        if known is None:
            found[str(status)] = refusal
        else:  # a status of its own answer and of refusals: readiness and its 503
            known["content"] |= refusal["content"]
            known["headers"] |= refusal["headers"]
    return dict(sorted(found.items()))


def _answer(answer: Answer, *, counted: bool) -> dict[str, Any]:
    limits = shared.RATE_LIMIT if counted else ()
    response: dict[str, Any] = {
        "description": answer.description,
        "headers": headers((shared.REQUEST_ID, *limits, *answer.headers)),
    }
    content = _content(answer)
    if content is not None:
        response["content"] = content
    return response


def headers(found: Iterable[Header]) -> dict[str, Any]:
    """The `headers` object."""
    return {
        one.name: {
            "description": one.description,
            "required": one.always,
            "schema": {"type": "string"},
            "example": one.example,
        }
        for one in found
    }


def _content(answer: Answer) -> dict[str, Any] | None:
    if answer.shape is not None:
        media: dict[str, Any] = {"schema": reference(answer.shape), "example": plain(answer.example)}
        return {"application/json": media}
    if answer.media_type is None:
        return None
    if answer.events:
        return {answer.media_type: _stream(answer.events)}
    if answer.media_type == "application/json":
        return {answer.media_type: {"schema": {"type": "object"}}}
    schema = {"type": "string", "format": "binary"} if answer.binary else {"type": "string"}
    found: dict[str, Any] = {"schema": schema}
    if answer.example is not None:
        found["example"] = answer.example
    return {answer.media_type: found}


def _stream(events: Iterable[SseEvent]) -> dict[str, Any]:
    """The schema is that of one event, as OpenAPI 3.2 has `itemSchema`; 3.1 knows no streams.

    `x-events` shows what is in the data of each.
    """
    known = list(events)
    return {
        "schema": {"oneOf": [_sse_schema(one) for one in known]},
        "examples": {
            one.name: {"value": {"id": str(number), "event": one.name, "data": _data(one)}}
            for number, one in enumerate(known, 6)
        },
        "x-events": {
            one.name: {
                "description": one.description,
                "schema": reference(one.shape),
                "example": plain(one.example),
            }
            for one in known
        },
    }


def _sse_schema(event: SseEvent) -> dict[str, Any]:
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": reference(event.shape),
    }
    return {
        "type": "object",
        "required": ["id", "event", "data"],
        "properties": {"id": {"type": "string"}, "event": {"const": event.name}, "data": data},
    }


def _data(event: SseEvent) -> str:
    return msgspec.json.encode(event.example).decode()


def _refusal(status: int, problems: list[type[Problem]], *, counted: bool) -> dict[str, Any]:
    limits = shared.RATE_LIMIT if counted else ()
    return {
        "description": "\n".join(f"`{one.code}`: {MEANINGS[one.code]}" for one in problems),
        "headers": headers((shared.REQUEST_ID, *_HEADERS.get(status, ()), *limits)),
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "allOf": [
                        reference(ProblemDocument),
                        {"properties": {"code": {"enum": [one.code for one in problems]}}},
                    ]
                },
                "examples": {one.code: {"value": plain(_example(one))} for one in problems},
            }
        },
    }


def _example(problem: type[Problem]) -> ProblemDocument:
    detail = MEANINGS[problem.code]
    faults = (FileFault("lamp.png", problem.code, detail),) if blames_files(problem) else ()
    return document(problem(detail, errors=faults), shared.REQUEST_ID.example)
