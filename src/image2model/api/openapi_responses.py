"""The responses of the OpenAPI document: answers with their examples, event streams, and refusals.

`MEANINGS` explains every problem code to users. Client generators make a class of each schema without a name,
so every answer refers to a named one. The codes of a refusal are the names of its examples.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from image2model import errors
from image2model.api.openapi_schemas import as_json, one_of, reference
from image2model.errors import FileFault, FileProblem, Problem
from image2model.http import reference as shared
from image2model.http.problems import MEDIA_TYPE, ProblemDocument, document
from image2model.http.reference import Answer, Header, Operation, SseEvent

MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unauthenticated": "The key is missing, unknown or no longer valid. Send a valid key as "
        "`Authorization: Bearer <key>`.",
        "forbidden": "The key's role or its models do not permit this call, or another web site made the "
        "request.",
        "not_found": "It does not exist, or it belongs to another key.",
        "method_not_allowed": "This address does not accept the method. Use one of the methods in `Allow`.",
        "price_unknown": "What the model costs is known only after the run. Give `max_cost_usd`, the most "
        "that all pictures may cost together.",
        "budget_exceeded": "The key's budget does not cover the request. Send fewer pictures, or ask the "
        "operator for a larger budget.",
        "rate_limited": "There were too many requests. Wait for the time in `Retry-After`, then try again.",
        "queue_full": "The key or the address has too many unfinished images. Wait until some have finished.",
        "upload_too_slow": "The upload was too slow and was stopped. Send it again over a faster connection.",
        "body_too_large": "The body exceeds the limit of a batch. Send smaller batches.",
        "unsupported_media_type": "The body is not `multipart/form-data`. Send it with that content type.",
        "expired": "It existed and has expired. Send the pictures again, or request a new link.",
        "not_ready": "The file does not exist yet, or never will; `detail` says which.",
        "idempotency_conflict": "The `Idempotency-Key` was used for a different request. Use a new one.",
        "idempotency_in_progress": "A request with this `Idempotency-Key` is still running. Try again after "
        "the time in `Retry-After`.",
        "already_finished": "Everything has finished already: there is nothing to cancel or to retry.",
        "invalid_multipart": "The multipart body is invalid: the boundary or the closing boundary is "
        "missing, the headers are too large, or there are too many parts.",
        "no_files": "The batch has no part named `files`. Add at least one picture.",
        "too_many_files": "The batch has more files than `I2M_MAX_FILES`. Send smaller batches.",
        "unknown_model": "The model is not available. Choose one that `GET /api/v1/models` lists.",
        "invalid_parameter": "A field, parameter or header has an invalid value; `detail` says which values "
        "are valid.",
        "file_too_large": "A file is larger than `I2M_MAX_FILE_BYTES`. Make the picture smaller.",
        "not_an_image": "A file is empty, or its content is not PNG, JPEG, WebP, HEIC, AVIF, GIF, TIFF or "
        "BMP. Convert the picture.",
        "image_truncated": "A picture is incomplete. Save or copy it again.",
        "image_too_large": "A picture has more pixels than `I2M_MAX_PIXELS`. Make the picture smaller.",
        "image_unreadable": "A picture was sent as an address that the service may not call, such as a "
        "private one. Send an http or https address that everybody can open, or the picture itself.",
        "internal_error": "The service has a fault. Report it to the operator with the `request_id`.",
        "store_unavailable": "The service cannot reach its store, or the store refuses writes. Try again "
        "after the time in `Retry-After`.",
        "disk_full": "The storage is full, and nothing was kept. Try again after the operator has freed disk "
        "space.",
    }
)
_ANYWHERE: Final = (errors.InternalError, errors.StoreUnavailable)
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
        else:  # both an answer and a problem have this status: readiness and its 503
            known["content"] |= refusal["content"]
            known["headers"] |= refusal["headers"]
    return dict(sorted(found.items()))


def problems_of(operation: Operation) -> tuple[type[Problem], ...]:
    """Every problem that the operation may answer with, each once."""
    return tuple(dict.fromkeys((*operation.problems, *_BY_ACCESS[operation.access], *_ANYWHERE)))


def problems() -> tuple[type[Problem], ...]:
    """Every problem class that a client can meet, in the order of the error tree."""
    return tuple(_leaves(Problem))


def blames_files(problem: type[Problem]) -> bool:
    """Whether the problem has `errors`, one for each bad file."""
    return issubclass(problem, FileProblem)


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


def _content(answer: Answer) -> dict[str, Any] | None:
    if answer.shapes:
        return {"application/json": _json(answer)}
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
    if answer.contains:
        found["x-contents"] = {name: reference(shape.__name__) for name, shape in answer.contains.items()}
    return {answer.media_type: found}


def _json(answer: Answer) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": one_of(answer.shapes)}
    if answer.otherwise is None:
        return {**media, "example": as_json(answer.example)}
    examples = zip(answer.shapes, (answer.example, answer.otherwise), strict=True)
    media["examples"] = {shape.__name__: {"value": as_json(example)} for shape, example in examples}
    return media


def _stream(events: Iterable[SseEvent]) -> dict[str, Any]:
    """OpenAPI 3.1 has no `itemSchema` yet, so `x-events` describes the data of each event.

    The schema says nothing: some tools take it for that of the whole text, others for that of each event.
    """
    known = list(events)
    return {
        "schema": {},
        "examples": {
            one.name: {"value": f"id: {number}\nevent: {one.name}\ndata: {_data(one)}\n\n"}
            for number, one in enumerate(known, 6)
        },
        "x-events": {
            one.name: {
                "description": one.description,
                "schema": reference(one.shape.__name__),
                "example": as_json(one.example),
            }
            for one in known
        },
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
                "schema": reference(ProblemDocument.__name__),
                "examples": {one.code: {"value": as_json(_example(one))} for one in problems},
            }
        },
    }


def _example(problem: type[Problem]) -> ProblemDocument:
    detail = MEANINGS[problem.code]
    faults = (FileFault("lamp.png", problem.code, detail),) if blames_files(problem) else ()
    return document(problem(detail, errors=faults), shared.REQUEST_ID.example)


def _leaves(parent: type[Problem]) -> list[type[Problem]]:
    children = parent.__subclasses__()
    if not children:
        return [parent]
    return [leaf for child in children for leaf in _leaves(child)]
