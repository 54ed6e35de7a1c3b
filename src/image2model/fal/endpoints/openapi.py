"""Derives an endpoint's inputs, parameters and outputs from its OpenAPI document as FAL writes it.

Pure: no I/O. What no document says (prices, licenses, which file is the model) is in `overlay`.
"""

import re
from collections.abc import Iterator
from typing import Final

from image2model.domain import SIDES
from image2model.fal.endpoints.parameter import Json, Kind, Parameter, Scalar, bounded
from image2model.fal.endpoints.picture_limits import stated_limits
from image2model.fal.endpoints.resolve import Document, Node, SchemaUnreadable, node, text
from image2model.fal.endpoints.schema import EndpointSchema, Input, Output, Role

_JSON: Final = "application/json"
_SIDES: Final = "|".join(sorted(SIDES, key=len, reverse=True))
_SIDE: Final = re.compile(rf"(?:input_)?({_SIDES})_(?:view_)?(?:image|view)_urls?")
_PICTURE: Final = re.compile(r"(?:input_)?(?:image|photo|picture)_urls?|(?:image|photo|picture)s?")
_FILE: Final = re.compile(r".*(?:_|^)(?:urls?|uri|image|mesh|model|file)s?")
_ROLES: Final[tuple[tuple[Role, re.Pattern[str]], ...]] = (
    ("mask", re.compile(r"(?:^|.*_)masks?_(?:image_)?urls?")),
    ("style", re.compile(r".*(?:style|texture|reference|ref)_?(?:image_)?urls?")),
    ("style", re.compile(r".*_image_urls?|image_style_url|image_prompt_url")),
    ("model", re.compile(r"(?:input_)?(?:model|mesh|geometry|file|glb|object)_(?:file_)?urls?")),
)
_MAX_NESTED: Final = 3
_MAX_CHOICES: Final = 200
_MAX_PATHS: Final = 100
_DESCRIPTION: Final = 1_000
_LARGEST: Final = 2**63 - 1


def derive(endpoint_id: str, document: object, *, title: str = "", category: str = "") -> EndpointSchema:
    """The endpoint that the document describes. Raises SchemaUnreadable, which says what it lacks."""
    openapi = Document(document)
    request = _request_schema(openapi, endpoint_id)
    inputs: list[Input] = []
    parameters: list[tuple[str, Parameter]] = []
    required = _names(request.get("required"))
    for name, field in openapi.properties(request):
        if not _safe(name):
            continue
        found = _input(openapi, name, field, required=name in required)
        if found is not None:
            inputs.append(found)
        elif (parameter := _parameter(openapi, field, required=name in required)) is not None:
            parameters.append((name, parameter))
    if not inputs and not parameters:
        raise SchemaUnreadable(f"the document of {endpoint_id} has an input without fields")
    about = node(openapi.at("info").get("x-fal-metadata"))
    return EndpointSchema(
        id=endpoint_id,
        title=title or text(about.get("title"), 200) or endpoint_id,
        category=category or text(about.get("category"), 100) or "image-to-3d",
        description=text(openapi.at("info").get("description"), _DESCRIPTION),
        inputs=_with_main_picture(inputs),
        parameters=tuple(parameters),
        outputs=tuple(_outputs(openapi, _response_schema(openapi, endpoint_id))),
        source="fal",
    )


def _request_schema(document: Document, endpoint_id: str) -> Node:
    """The input: the body of the POST to the endpoint, else the schema whose name says so."""
    for _, item in _paths(document, endpoint_id):
        body = document.resolve(document.resolve(item.get("post")).get("requestBody"))
        content = document.resolve(node(body.get("content")).get(_JSON))
        schema = document.resolve(content.get("schema"))
        if "properties" in schema:
            return schema
    named = _named(document, "Input")
    if named is None:
        raise SchemaUnreadable(f"the document of {endpoint_id} has no POST with a JSON body")
    return named


def _response_schema(document: Document, endpoint_id: str) -> Node:
    """The output: the answer with the result, else the POST's own, else the schema whose name says so."""
    answers = []
    for path, item in _paths(document, endpoint_id):
        for method in ("get", "post"):
            replies = node(document.resolve(item.get(method)).get("responses"))
            content = node(document.resolve(replies.get("200")).get("content"))
            schema = document.resolve(document.resolve(content.get(_JSON)).get("schema"))
            fields = node(schema.get("properties"))
            # a queue's own answers have no output: they name the request
            if fields and not {"status", "request_id"} <= fields.keys():
                is_result = method == "get" and path.rstrip("/").endswith("}")
                answers.append((not is_result, schema))
    if answers:
        return min(answers, key=lambda answer: answer[0])[1]
    return _named(document, "Output") or {}


def _paths(document: Document, endpoint_id: str) -> Iterator[tuple[str, Node]]:
    """The endpoint's own paths first, the one that is its id before all others."""
    paths = document.at("paths")
    own = f"/{endpoint_id}"
    sub = "/" + "/".join(endpoint_id.split("/")[2:])

    def distance(path: str) -> int:
        path = path.rstrip("/") or "/"
        if path == own:
            return 0
        if path == (sub.rstrip("/") or "/"):
            return 1
        return 2 if path.startswith(own) else 3

    return ((path, document.resolve(paths[path])) for path in sorted(paths, key=distance)[:_MAX_PATHS])


def _named(document: Document, ending: str) -> Node | None:
    schemas = document.at("components", "schemas")
    name = next((one for one in schemas if isinstance(one, str) and one.endswith(ending)), None)
    return document.resolve(schemas[name]) if name is not None else None


def _input(document: Document, name: str, field: Node, *, required: bool) -> Input | None:
    """The field as an input of files, where its name and type say that it is one."""
    found = _of_texts(document, field) if _FILE.fullmatch(name) else None
    if found is None:
        return None
    given, field, many = field, found, found.get("type") == "array"
    side = _SIDE.fullmatch(name)
    role = "side" if side else _role(name, many=many)
    if role is None:
        return None
    most = _whole(field.get("maxItems"))
    item = document.resolve(field.get("items")) if many else {}
    return Input(
        name=name,
        role=role,
        description=text(field.get("description"), _DESCRIPTION),
        side=side[1] if side else None,
        required=required and field.get("nullable") is not True,
        many=many,
        min=(_whole(field.get("minItems")) or 1) if many else 1,
        max=most if many else 1,
        limits=stated_limits(given, field, item) if role != "model" else None,
    )


def _of_texts(document: Document, field: Node) -> Node | None:
    """The field if it takes a text or a list of texts; of several choices, the first that does."""
    choices = field.get("choices")
    if field.get("type") is None and isinstance(choices, tuple):
        found = (_of_texts(document, node(one)) for one in choices)
        one = next((one for one in found if one is not None), None)
        return {**one, **field, "type": one.get("type")} if one is not None else None
    item = document.resolve(field.get("items")) if field.get("type") == "array" else field
    return field if item.get("type") == "string" and not item.get("enum") else None


def _role(name: str, *, many: bool) -> Role | None:
    if _PICTURE.fullmatch(name):
        return "views" if many else "picture"
    return next((role for role, pattern in _ROLES if pattern.fullmatch(name)), None)


def _with_main_picture(inputs: list[Input]) -> tuple[Input, ...]:
    """The inputs; where none is the object itself, the only required picture of another name is."""
    if any(one.role in ("picture", "views", "side") for one in inputs):
        return tuple(inputs)
    main = [one for one in inputs if one.role == "style" and one.required]
    if len(main) != 1:
        return tuple(inputs)
    role: Role = "views" if main[0].many else "picture"
    return tuple(_replace_role(one, role) if one is main[0] else one for one in inputs)


def _replace_role(one: Input, role: Role) -> Input:
    return Input(
        name=one.name,
        role=role,
        description=one.description,
        required=one.required,
        many=one.many,
        min=one.min,
        max=one.max,
        limits=one.limits,
    )


def _parameter(
    document: Document, field: Node, *, required: bool, depth: int = _MAX_NESTED
) -> Parameter | None:
    """The field as a parameter; None where its choices are of no JSON type that can be sent."""
    kind = _kind(field)
    choices = _choices(field, kind)
    if choices is None:
        return None
    if choices and kind == "any":
        kind = _kind_of_choices(choices)
    items = None
    if kind == "array" and depth > 0:
        items = _parameter(document, document.resolve(field.get("items")), required=False, depth=depth - 1)
    return Parameter(
        type=kind,
        description=text(field.get("description") or field.get("title"), _DESCRIPTION),
        default=_default(field.get("default")),
        enum=choices,
        minimum=_bound(field, "minimum", "exclusiveMinimum"),
        maximum=_bound(field, "maximum", "exclusiveMaximum"),
        above=_exclusive(field, "minimum", "exclusiveMinimum"),
        below=_exclusive(field, "maximum", "exclusiveMaximum"),
        nullable=field.get("nullable") is True,
        required=required,
        items=items,
        properties=tuple(_members(document, field, depth)) if kind == "object" and depth > 0 else (),
        min_items=_whole(field.get("minItems")),
        max_items=_whole(field.get("maxItems")),
    )


def _members(document: Document, field: Node, depth: int) -> Iterator[tuple[str, Parameter]]:
    required = _names(field.get("required"))
    for name, part in document.properties(field):
        if not _safe(name):
            continue
        member = _parameter(document, part, required=name in required, depth=depth - 1)
        if member is not None:
            yield name, member


def _kind(field: Node) -> Kind:
    named = field.get("type")
    if named in ("boolean", "integer", "number", "string", "array", "object"):
        return named
    if "properties" in field:
        return "object"
    return "any"


def _kind_of_choices(choices: tuple[Scalar, ...]) -> Kind:
    kinds = {type(one) for one in choices}
    if kinds == {str}:
        return "string"
    if kinds == {int}:
        return "integer"
    if kinds <= {int, float}:
        return "number"
    return "boolean" if kinds == {bool} else "any"


def _choices(field: Node, kind: Kind) -> tuple[Scalar, ...] | None:
    """The allowed values; None where there are some, but none of them can be sent."""
    listed = field.get("enum")
    if not isinstance(listed, list) or not listed or kind in ("array", "object"):
        return ()
    values = [one for one in listed[:_MAX_CHOICES] if isinstance(one, Scalar) and _storable(one)]
    return tuple(values) if values or listed == [None] else None


def _outputs(document: Document, schema: Node) -> Iterator[Output]:
    required = _names(schema.get("required"))
    for name, field in document.properties(schema):
        about = text(field.get("description"), _DESCRIPTION)
        if not _safe(name):
            continue
        if _is_file(document, field):
            yield Output(name=name, shape="file", description=about, required=name in required)
        elif field.get("type") == "array":
            item = document.resolve(field.get("items"))
            fields = _file_fields(document, item)
            if _is_file(document, item) or fields:
                yield Output(
                    name=name, shape="list", description=about, required=name in required, fields=fields
                )
        elif fields := _file_fields(document, field):
            yield Output(
                name=name, shape="object", description=about, required=name in required, fields=fields
            )


def _is_file(document: Document, schema: Node) -> bool:
    """Whether it is FAL's File: an object with a `url`, and something that tells of a file."""
    fields = node(schema.get("properties"))
    if "url" not in fields or document.resolve(fields["url"]).get("type") != "string":
        return False
    return bool({"content_type", "file_name", "file_size"} & fields.keys()) or schema.get("title") in (
        "File",
        "Image",
    )


def _file_fields(document: Document, schema: Node) -> tuple[str, ...]:
    return tuple(
        name for name, field in document.properties(schema) if _safe(name) and _is_file(document, field)
    )


def _names(value: object) -> frozenset[str]:
    return frozenset(one for one in value if isinstance(one, str)) if isinstance(value, list) else frozenset()


def _safe(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name) is not None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else None


def _storable(value: object) -> bool:
    return value is not None and _default(value) is not None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # a bound that no number of 64 bits can pass, such as the largest double, is none
    if not -_LARGEST <= value <= _LARGEST:
        return None
    return int(value) if float(value).is_integer() else value


def _bound(field: Node, name: str, exclusive: str) -> float | None:
    # OpenAPI 3.0 writes `exclusiveMinimum: true` beside `minimum`, 3.1 the number itself
    return None if field.get(exclusive) is True else _number(field.get(name))


def _exclusive(field: Node, name: str, exclusive: str) -> float | None:
    return _number(field.get(name)) if field.get(exclusive) is True else _number(field.get(exclusive))


def _default(value: object) -> Json:
    try:
        return bounded(value)
    except ValueError:
        return None
