"""The OpenAPI document, assembled from the operations of all concepts, and the handler that serves it.

`OPERATIONS` is in reading order; the documentation pages and a test use it as well.
"""

import asyncio
import hashlib
from functools import cache
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model import __version__
from image2model.access import openapi as access_openapi
from image2model.access.principal import COOKIE, SECURE_COOKIE
from image2model.access.state import AccessState, state_of
from image2model.api.openapi_responses import responses
from image2model.api.openapi_schemas import as_json, body_schema, components, reference
from image2model.catalogue import openapi as catalogue_openapi
from image2model.events import openapi as events_openapi
from image2model.events.examples import ENDED, PARTIAL_JOB
from image2model.http.problems import ProblemDocument
from image2model.http.reference import Body, Operation, Parameter
from image2model.jobs import openapi as jobs_openapi
from image2model.jobs import openapi_derive, openapi_json, openapi_uploads
from image2model.operations import openapi as operations_openapi
from image2model.webhooks import http as webhooks_http
from image2model.webhooks.deliveries import EVENT, Payload

OPERATIONS: Final[tuple[Operation, ...]] = (
    *openapi_uploads.UPLOAD_OPERATIONS,
    *openapi_json.JSON_OPERATIONS,
    *jobs_openapi.JOB_OPERATIONS,
    *openapi_derive.DERIVE_OPERATIONS,
    *events_openapi.OPERATIONS,
    *jobs_openapi.RESULT_OPERATIONS,
    *catalogue_openapi.OPERATIONS,
    *webhooks_http.OPERATIONS,
    *access_openapi.SESSION_OPERATIONS,
    *operations_openapi.FLEET_OPERATIONS,
    *access_openapi.KEY_OPERATIONS,
    *operations_openapi.DEAD_LETTER_OPERATIONS,
    *operations_openapi.SERVICE_OPERATIONS,
)
_ABOUT: Final = (
    "Turns batches of pictures into 3D models. Send pictures to `/api/v1/upload/batch`, follow the job at "
    "`links.stream` or `links.self`, and fetch the models at `links.download`.\n\n"
    "JSON is snake_case, times are RFC 3339 in UTC, ids are opaque. Refusals are RFC 9457 "
    "`application/problem+json` with a stable `code`. New fields may appear at any time: ignore fields "
    "that you do not know. Every GET address also accepts HEAD.\n\n"
    "Send the key as `Authorization: Bearer <key>`; the page uses a cookie instead. Under `I2M_AUTH=none` "
    "no key is needed."
)
_CALLS: Final = "Webhook calls"
"""A tag of its own: of one that operations have too, generators make two files of the same name."""
_TAGS: Final = {
    "Batches": "Upload pictures, and ask for the price before.",
    "Jobs": "What was uploaded: its status, cancel, retry, second steps.",
    "Events": "Changes of jobs as server-sent events.",
    "Results": "The models and other files of a job.",
    "Models": "FAL's endpoints with their parameters and prices.",
    "Webhooks": "The log of the calls to a batch's `webhook_url`.",
    "Session": "Signing in with a browser.",
    "Administration": "Keys, queues, workers, statistics and failed images of all owners.",
    "Operation": "Health, metrics, and this reference.",
    _CALLS: "What the service sends to a batch's `webhook_url`.",
}
_SECURITY: Final[dict[str, list[dict[str, list[str]]]]] = {
    "key": [{"key": []}, {"session": []}],
    "admin": [{"key": []}, {"session": []}],
    "metrics": [{"metrics": []}],
    "open": [],
}
_SCHEMES: Final = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key, `i2m_…`."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "The page's session; over https its name is "
        f"`{SECURE_COOKIE}`. Changes are accepted only from the service's own page.",
    },
    "metrics": {"type": "http", "scheme": "bearer", "description": "`I2M_METRICS_TOKEN`, if it is set."},
}
_CACHE: Final = {"Cache-Control": "private, no-cache"}


async def document(request: Request) -> Response:
    """200 with the OpenAPI document, or 304."""
    await state_of(request, AccessState).authenticate(request.scope)
    content, etag = await asyncio.to_thread(_document)
    headers = {**_CACHE, "ETag": etag}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


@cache
def openapi() -> dict[str, Any]:
    """The document. It is built once and shared: do not change it."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "image2model", "version": __version__, "description": _ABOUT},
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": "/"}],
        "tags": [{"name": tag, "description": _TAGS[tag]} for tag in _tags()],
        "paths": _paths(),
        "webhooks": _webhooks(),
        "components": {
            "schemas": components(OPERATIONS, [ProblemDocument, Payload]),
            "securitySchemes": _SCHEMES,
        },
    }


def _tags() -> list[str]:
    return [*dict.fromkeys(one.tag for one in OPERATIONS), _CALLS]


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return paths


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": _description(operation),
        "security": _SECURITY[operation.access],
        "parameters": [_parameter(one) for one in operation.parameters],
        "responses": responses(operation),
    }
    if operation.body is not None:
        described["requestBody"] = _body(operation.body)
    return described


def _description(operation: Operation) -> str:
    if operation.access == "admin":
        return f"{operation.description}\n\nNeeds a key with the role `admin`."
    if operation.counted:
        return f"{operation.description}\n\nThe rate limits count this call."
    return operation.description


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.description,
        "required": parameter.where == "path",
        "schema": dict(parameter.schema),
    }
    if parameter.schema.get("type") == "object":
        described |= {"style": "form", "explode": True}
    if parameter.example is not None:
        described["example"] = parameter.example
    return described


def _body(body: Body) -> dict[str, Any]:
    schema = reference(body.shape.__name__) if body.shape else body_schema(body.schema or {})
    media: dict[str, Any] = {"schema": schema}
    if body.encoding is not None:
        media["encoding"] = dict(body.encoding)
    if body.examples:
        media["examples"] = {name: {"value": as_json(value)} for name, value in body.examples.items()}
    content = {body.media_type: media}
    if body.form is not None:
        content["multipart/form-data"] = {"schema": body_schema(body.form)}
    return {"description": body.description, "required": body.required, "content": content}


def _webhooks() -> dict[str, Any]:
    body = Body(
        description="The job as it was when it finished; the same in each attempt.",
        shape=Payload,
        examples={"ended": Payload(EVENT, ENDED, PARTIAL_JOB)},
    )
    call = {
        "operationId": "jobFinished",
        "tags": [_CALLS],
        "security": [],
        "summary": "The call to a batch's `webhook_url`",
        "description": "Sent each time the job finishes, signed as Standard Webhooks (`webhook-id`, "
        "`webhook-timestamp`, `webhook-signature`). Any answer other than 2xx is retried.",
        "requestBody": _body(body),
        "responses": {"2XX": {"description": "Accepted."}},
    }
    return {EVENT: {"post": call}}


@cache
def _document() -> tuple[bytes, str]:
    """The document and its strong validator."""
    content = msgspec.json.encode(openapi())
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
