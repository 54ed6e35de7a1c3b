"""The Structs as JSON Schemas, and examples as plain values. Who calls it: the document.

msgspec counts a field with a default as optional. That is so in what is sent to us; what we answer holds
every field, unless its Struct leaves defaults out.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import inspect

from image2model import errors
from image2model.errors import FileFault, FileProblem, Problem
from image2model.http import reference as shared
from image2model.http.problems import MEDIA_TYPE, ProblemDocument, document
from image2model.http.reference import Answer, Header, Operation, SseEvent

REFERENCE: Final = "#/components/schemas/{name}"
Shape = type[msgspec.Struct]


def reference(shape: Shape) -> dict[str, object]:
    """A Struct's schema by its name."""
    return {"$ref": REFERENCE.format(name=shape.__name__)}


def components(operations: Iterable[Operation], answers_besides: Iterable[Shape]) -> dict[str, Any]:
    """The schemas of all Structs that the operations name, by the Structs' names."""
    table = list(operations)
    sent = {one.body.shape for one in table if one.body is not None and one.body.shape is not None}
    answered = {*answers_besides, *_answered(table)}
    _, schemas = msgspec.json.schema_components(
        [*sent, *answered], ref_template=REFERENCE, schema_hook=_anything
    )
    for shape in {found for one in answered for found in _structs(inspect.type_info(one))}:
        if not shape.__struct_config__.omit_defaults:
            _complete(schemas[shape.__name__])
    return dict(sorted(schemas.items()))


def _answered(operations: Iterable[Operation]) -> Iterator[Shape]:
    for answer in (answer for one in operations for answer in one.answers):
        if answer.shape is not None:
            yield answer.shape
        yield from (event.shape for event in answer.events)


def _structs(node: object) -> Iterator[Shape]:
    """The Structs within a type."""
    if isinstance(node, inspect.StructType):
        yield node.cls
        yield from (found for field in node.fields for found in _structs(field.type))
    elif isinstance(node, inspect.Metadata):
        yield from _structs(node.type)
    elif isinstance(node, inspect.UnionType):
        yield from (found for one in node.types for found in _structs(one))
    elif isinstance(node, inspect.TupleType):
        yield from (found for one in node.item_types for found in _structs(one))
    elif isinstance(node, inspect.VarTupleType | inspect.ListType):
        yield from _structs(node.item_type)
    elif isinstance(node, inspect.DictType):
        yield from _structs(node.value_type)


def _anything(kind: type) -> dict[str, object]:
    """`object` is any JSON value, such as a parameter's."""
    if kind is object:
        return {"description": "Any JSON value."}  # an empty schema is none to msgspec
    raise NotImplementedError


def _complete(schema: dict[str, Any]) -> None:
    schema["required"] = list(schema["properties"])
    for field in schema["properties"].values():
        field.pop("default", None)


def plain(example: object) -> object:
    """An example as JSON has it."""
    decoded: object = msgspec.json.decode(msgspec.json.encode(example))
    return decoded


MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unauthenticated": "No key, or one that is not known or no longer valid. Send "
        "`Authorization: Bearer <key>`.",
        "forbidden": "The key's role does not suffice, or another web site made the request.",
        "not_found": "There is no such thing, or it is another key's.",
        "method_not_allowed": "The address does not take this method; `Allow` names those it takes.",
        "budget_exceeded": "The key's budget does not cover the batch. Send less, or ask for a larger one.",
        "rate_limited": "Too many requests. Wait as long as `Retry-After` says.",
        "queue_full": "The key, or the address, has too many unfinished images. Wait until some have ended.",
        "upload_too_slow": "The upload arrived too slowly and was cut off. Send it again over a faster line.",
        "body_too_large": "The whole body is larger than a batch can be. Send smaller batches.",
        "unsupported_media_type": "The body is not `multipart/form-data`.",
        "expired": "It was here, and its life is over. Send the pictures again, or take a new link.",
        "not_ready": "The file does not exist yet, or never will; the detail says which.",
        "idempotency_conflict": "The `Idempotency-Key` was used for a different request. Take a new one.",
        "idempotency_in_progress": "A request with this `Idempotency-Key` is under way. Ask again as "
        "`Retry-After` says.",
        "already_finished": "Everything has ended already: there is nothing to cancel or to run again.",
        "invalid_multipart": "The multipart body is broken: no boundary, no closing boundary, headers too "
        "large, or too many parts.",
        "no_files": "The batch has no part named `files`.",
        "too_many_files": "The batch has more files than `I2M_MAX_FILES`.",
        "unknown_model": "The model is not on offer; `GET /api/v1/models` lists those that are.",
        "invalid_parameter": "A field, parameter or header has a value that is not accepted; the detail says "
        "what is.",
        "file_too_large": "A file is larger than `I2M_MAX_FILE_BYTES`.",
        "not_an_image": "A file is empty, or by its content no PNG, JPEG or WebP.",
        "image_truncated": "A picture ends before its end. Save or copy it again.",
        "image_too_large": "A picture has more pixels than `I2M_MAX_PIXELS`. Make it smaller.",
        "internal_error": "A fault of the service's own. Report it with its `request_id`.",
        "store_unavailable": "The service cannot reach its store, or the store takes no writes. Try again as "
        "`Retry-After` says.",
        "disk_full": "The storage is full. Nothing was kept; try again once the operator has made room.",
    }
)


def problems() -> tuple[type[Problem], ...]:
    """Every class of refusals that a client can meet, in the order of the tree."""
    return tuple(_leaves(Problem))


def _leaves(parent: type[Problem]) -> list[type[Problem]]:
    children = parent.__subclasses__()
    if not children:
        return [parent]
    return [leaf for child in children for leaf in _leaves(child)]


def blames_files(problem: type[Problem]) -> bool:
    """Whether the refusal has `errors`, one for each bad file."""
    return issubclass(problem, FileProblem)


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
