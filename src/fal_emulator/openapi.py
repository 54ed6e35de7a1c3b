"""The OpenAPI document of one endpoint, in the shapes in which FAL writes its own, from its row of the table.

Called by the catalogue. FAL's documents come from apps of different ages, so they differ: a File is a bare
reference or an `allOf` around one, one allowed value is a `const` or an `enum`, what may be null says so or
not, and the order of the fields is in a key of its own. Which of the shapes an endpoint has depends on its
id alone.
"""

from collections.abc import Mapping
from random import Random
from zlib import crc32

import msgspec

from fal_emulator.components import COMPONENTS, QUEUE_STATUS
from fal_emulator.endpoints import Endpoint, Field, Output
from fal_emulator.endpoints.fields import DESCRIPTIONS

Schema = dict[str, object]


class Style(msgspec.Struct, frozen=True):
    """How one app writes its schemas."""

    all_of: bool
    nulls: bool
    hints: bool
    seed: int

    def shuffled(self, properties: Mapping[str, Schema]) -> dict[str, Schema]:
        """The same in another order: only the order key tells the right one."""
        names = list(properties)
        Random(self.seed).shuffle(names)  # noqa: S311 - repeatable, no secret
        return {name: properties[name] for name in names}


def style_of(endpoint_id: str) -> Style:
    """The style of an endpoint."""
    drawn = crc32(endpoint_id.encode())
    return Style(all_of=bool(drawn & 1), nulls=bool(drawn & 2), hints=bool(drawn & 4), seed=drawn)


def document(endpoint: Endpoint) -> Schema:
    """The whole document."""
    style, name = style_of(endpoint.id), schema_name(endpoint.id)
    schemas = {
        "QueueStatus": QUEUE_STATUS,
        f"{name}Input": _object(f"{name}Input", endpoint.fields, style),
        f"{name}Output": _output_schema(f"{name}Output", endpoint, style),
    }
    schemas |= _named(endpoint.fields, style)
    schemas |= _components(endpoint, style)
    key = {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Fal Key"}
    return {
        "openapi": "3.0.4",
        "info": {
            "title": f"Queue OpenAPI for {endpoint.id}",
            "version": "1.0.0",
            "description": f"The OpenAPI schema for the {endpoint.id} queue.",
            "x-fal-metadata": {
                "endpointId": endpoint.id,
                "category": endpoint.category,
                "playgroundUrl": f"https://fal.ai/models/{endpoint.id}",
                "documentationUrl": f"https://fal.ai/models/{endpoint.id}/api",
            },
        },
        "components": {"securitySchemes": {"apiKeyAuth": key}, "schemas": schemas},
        "paths": _paths(endpoint.id, name),
        "servers": [{"url": "https://queue.fal.run"}],
        "security": [{"apiKeyAuth": []}],
    }


def schema_name(endpoint_id: str) -> str:
    """How the schemas of an endpoint are called: `fal-ai/trellis-2` has Trellis2Input."""
    words = endpoint_id.split("/", 1)[-1]
    parts = "".join(letter if letter.isalnum() else " " for letter in words).split()
    return "".join(part[:1].upper() + part[1:] for part in parts)


def _object(title: str, fields: Mapping[str, Field], style: Style) -> Schema:
    """The schema of an object with these fields."""
    properties = {name: _field(name, field, style) for name, field in fields.items()}
    schema: Schema = {
        "title": title,
        "type": "object",
        "x-fal-order-properties": list(fields),
        "properties": style.shuffled(properties),
    }
    required = [name for name, field in fields.items() if field.required]
    return {**schema, "required": required} if required else schema


def _field(name: str, field: Field, style: Style) -> Schema:
    schema = _typed(field, style)
    if field.takes_null and style.nulls and not field.required:
        schema = {"anyOf": [schema, {"type": "null"}]}
    if "$ref" in schema and style.all_of:
        schema = {"allOf": [schema]}
    schema["title"] = _title(name)
    described = field.description or DESCRIPTIONS.get(name, "")
    if described:
        schema["description"] = described
    if field.default is not None:
        schema["default"] = field.default
    if field.examples or field.role is not None:
        schema["examples"] = list(field.examples) or [_example(field)]
    if field.picture is not None and not field.picture.said:
        schema["x-fal"] = {
            name: value
            for name, value in msgspec.structs.asdict(field.picture).items()
            if value and name != "said"
        }
    if style.hints and field.required:
        schema["ui"] = {"important": True}
    return schema


def _typed(field: Field, style: Style) -> Schema:
    """Type, choices and bounds."""
    if field.kind == "object" and field.name:
        return {"$ref": f"#/components/schemas/{field.name}"}
    schema: Schema = {"type": field.kind}
    if len(field.choices) == 1 and style.nulls:
        schema["const"] = field.choices[0]
    elif field.choices:
        schema["enum"] = list(field.choices)
    if field.kind == "array":
        schema["items"] = _typed(field.items, style) if field.items is not None else {}
    bounds = {
        "minimum": field.minimum,
        "maximum": field.maximum,
        "exclusiveMinimum": field.above,
        "exclusiveMaximum": field.below,
        "minItems": field.min_items,
        "maxItems": field.max_items,
        "maxLength": field.max_length,
    }
    return schema | {name: _plain(bound) for name, bound in bounds.items() if bound is not None}


def _plain(bound: float) -> float:
    return int(bound) if float(bound).is_integer() else bound


def _example(field: Field) -> object:
    kind = "model.glb" if field.role == "model" else "picture.png"
    example = f"https://v3.fal.media/files/example/{kind}"
    return [example] if field.kind == "array" else example


def _title(name: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _named(fields: Mapping[str, Field], style: Style) -> dict[str, Schema]:
    """The schemas of the objects in these fields, at any depth."""
    found: dict[str, Schema] = {}
    for field in fields.values():
        inner = field if field.items is None else field.items
        if inner.kind == "object" and inner.name:
            found[inner.name] = _object(inner.name, inner.fields, style)
            found |= _named(inner.fields, style)
    return found


_REFERENCES: Mapping[str, tuple[str, bool]] = {
    "cutout": ("Image", False),
    "mask": ("Image", False),
    "textures": ("File", True),
    "models": ("File", True),
    "splats": ("File", True),
    "texture_files": ("TextureFiles", True),
    "metadata": ("SAM3DObjectMetadata", True),
    "clips": ("AnimationClip", True),
    "model_urls": ("ModelUrls", False),
    "animations": ("BasicAnimations", False),
}
"""The component of an output, and whether it is a list of them; every other file is a File."""

_PLAIN: Mapping[str, Schema] = {
    "seed": {"type": "integer"},
    "task": {"type": "string"},
    "echo": {"type": "string"},
    "scores": {"type": "array", "items": {"type": "number"}},
    "index": {"type": "integer"},
    "timings": {"type": "object", "additionalProperties": {"type": "number"}},
}


def _output_schema(title: str, endpoint: Endpoint, style: Style) -> Schema:
    properties = {name: _output(name, output, style) for name, output in endpoint.outputs.items()}
    schema: Schema = {
        "title": title,
        "type": "object",
        "x-fal-order-properties": list(properties),
        "properties": style.shuffled(properties),
    }
    required = [name for name, output in endpoint.outputs.items() if output.required]
    return {**schema, "required": required} if required else schema


def _output(name: str, output: Output, style: Style) -> Schema:
    schema = dict(_PLAIN.get(output.content, {}))
    if not schema:
        component, many = _REFERENCES.get(output.content, ("File", False))
        reference: Schema = {"$ref": f"#/components/schemas/{component}"}
        schema = {"type": "array", "items": reference} if many else reference
    if style.nulls and not output.required:
        schema = {"anyOf": [schema, {"type": "null"}]}
    elif "$ref" in schema and style.all_of:
        schema = {"allOf": [schema]}
    schema["title"] = _title(name)
    if output.description:
        schema["description"] = output.description
    return schema


def _components(endpoint: Endpoint, style: Style) -> dict[str, Schema]:
    """The components that the outputs refer to."""
    wanted = {"File"}
    for output in endpoint.outputs.values():
        if output.content not in _PLAIN:
            wanted.add(_REFERENCES.get(output.content, ("File", False))[0])
    return {
        name: _component(name, fields, endpoint, style)
        for name, fields in COMPONENTS.items()
        if name in wanted
    }


def _component(name: str, fields: Mapping[str, Schema], endpoint: Endpoint, style: Style) -> Schema:
    if name == "ModelUrls":
        formats = {name for one in endpoint.outputs.values() for name in one.formats} | {
            endpoint.model_format,
            "glb",
        }
        fields = {name: fields[name] for name in fields if name in formats}
    properties = {field: _component_field(field, schema, style) for field, schema in fields.items()}
    schema: Schema = {
        "title": name,
        "type": "object",
        "x-fal-order-properties": list(fields),
        "properties": style.shuffled(properties),
    }
    required = [field for field in ("url", "base_color") if field in fields]
    return {**schema, "required": required} if required else schema


def _component_field(name: str, schema: Schema, style: Style) -> Schema:
    written = dict(schema)
    if "$ref" in schema:
        reference: Schema = {"$ref": schema["$ref"]}
        described = {"description": schema["description"]} if "description" in schema else {}
        if name != "base_color" and style.nulls:
            written = {"anyOf": [reference, {"type": "null"}], **described}
        elif style.all_of:
            written = {"allOf": [reference], **described}
    return {"title": _title(name), **written}


def _paths(endpoint_id: str, name: str) -> Schema:
    """The routes of the queue. They have the whole id, although the queue takes owner/alias alone."""
    request_id = {
        "name": "request_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "description": "Request ID"},
    }
    logs = {
        "name": "logs",
        "in": "query",
        "required": False,
        "schema": {"type": "number", "description": "Whether to include logs (`1`) or not (`0`)."},
    }
    status = _response("The request status.", {"$ref": "#/components/schemas/QueueStatus"})
    success = {"type": "boolean", "description": "Whether the request was cancelled."}
    cancelled = _response(
        "The request was cancelled.", {"type": "object", "properties": {"success": success}}
    )
    result = _response("Result of the request.", {"$ref": f"#/components/schemas/{name}Output"})
    body = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}Input"}}}
    one = f"/{endpoint_id}/requests/{{request_id}}"
    return {
        f"{one}/status": {"get": {"parameters": [request_id, logs], "responses": status}},
        f"{one}/cancel": {"put": {"parameters": [request_id], "responses": cancelled}},
        f"/{endpoint_id}": {
            "post": {"requestBody": {"required": True, "content": body}, "responses": status}
        },
        one: {"get": {"parameters": [request_id], "responses": result}},
    }


def _response(description: str, schema: Schema) -> Schema:
    return {"200": {"description": description, "content": {"application/json": {"schema": schema}}}}
