"""OpenAPI documents in the shapes in which FAL publishes them, built from a short description.

Five shapes, each as another of FAL's documents has it: which version of OpenAPI, where the result's schema
stands, how a file is referred to, how null is allowed, and what gives the order.
"""

from collections.abc import Mapping
from typing import Any, Literal

Shape = Literal["queue", "server", "alias", "inline", "old"]

FILE: dict[str, Any] = {
    "title": "File",
    "type": "object",
    "properties": {
        "url": {"title": "Url", "type": "string", "description": "Where the file is."},
        "content_type": {"title": "Content Type", "type": "string", "examples": ["image/png"]},
        "file_name": {"title": "File Name", "type": "string"},
        "file_size": {"title": "File Size", "type": "integer", "examples": [4404019]},
    },
    "required": ["url"],
}
QUEUE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]},
        "request_id": {"type": "string"},
    },
    "required": ["status", "request_id"],
}


def document(
    endpoint_id: str,
    shape: Shape,
    fields: Mapping[str, dict[str, Any]],
    outputs: Mapping[str, dict[str, Any]],
    *,
    required: tuple[str, ...] = (),
    schemas: Mapping[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The document of an endpoint whose input has these fields, and whose result has these outputs."""
    name = "".join(part.title() for part in endpoint_id.split("/")[-1].split("-"))
    order = {} if shape == "old" else {"x-fal-order-properties": list(fields)}
    # the order of the members must not matter where FAL gives one
    members = dict(reversed(list(fields.items()))) if order else dict(fields)
    given = {"title": f"{name}Input", "type": "object", "properties": members, **order}
    if required:
        given["required"] = list(required)
    made = {"title": f"{name}Output", "type": "object", "properties": dict(outputs)}
    known = {f"{name}Input": given, f"{name}Output": made, "File": FILE, "QueueStatus": QUEUE}
    known |= schemas or {}
    return {
        "openapi": "3.1.0" if shape == "server" else "3.0.4",
        "info": {
            "title": "Queue OpenAPI",
            "version": "1.0.0",
            "description": f"The API of {endpoint_id}.",
            "x-fal-metadata": {"endpointId": endpoint_id, "category": "image-to-3d"},
        },
        "paths": _paths(endpoint_id, shape, name, given),
        "components": {"schemas": known},
    }


def nullable(schema: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """The schema, or null, as documents of this shape write it."""
    if shape == "old":
        return {**schema, "nullable": True}
    return {"anyOf": [schema, {"type": "null"}]}


def file(shape: Shape, **about: Any) -> dict[str, Any]:
    """A File as a member of a result."""
    reference = {"$ref": "#/components/schemas/File"}
    if shape == "server":
        return {**reference, **about}
    return FILE if shape == "inline" else {"allOf": [reference], **about}


def _paths(endpoint_id: str, shape: Shape, name: str, given: dict[str, Any]) -> dict[str, Any]:
    def reply(schema: str) -> dict[str, Any]:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
        return {"responses": {"200": {"description": "OK", "content": content}}}

    schema = given if shape == "inline" else {"$ref": f"#/components/schemas/{name}Input"}
    body = {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
    if shape == "server":
        # what FAL's Python package writes for an application of one's own: no queue, a path below the app
        return {
            "/health": {"get": {"responses": {"200": {"description": "OK"}}}},
            "/" + "/".join(endpoint_id.split("/")[2:]): {"post": {**body, **reply(f"{name}Output")}},
        }
    path = f"/{'other-name/of-it' if shape == 'alias' else endpoint_id}"
    return {
        f"{path}/requests/{{request_id}}/status": {"get": reply("QueueStatus")},
        f"{path}/requests/{{request_id}}/cancel": {"put": reply("QueueStatus")},
        path: {"post": {**body, **reply("QueueStatus")}},
        f"{path}/requests/{{request_id}}": {"get": reply(f"{name}Output")},
    }
