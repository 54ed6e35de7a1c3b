"""The schemas of the OpenAPI document: those of the Structs, by their names, as client generators take them.

msgspec treats a field with a default as optional. That is right for requests; answers contain every field,
unless their Struct omits defaults. What msgspec writes is valid, but generators refuse some of it, or make
poor code of it, so `_portable` says the same in the words that all of them know.
"""

from collections.abc import Iterable, Iterator
from inspect import cleandoc
from typing import Any, Final

import msgspec
from msgspec import inspect

from image2model.domain import Metadata
from image2model.http.reference import Answer, Body, Operation, Schema

Shape = type[msgspec.Struct]
_REFERENCE: Final = "#/components/schemas/{name}"
_FORMATS: Final = {"integer": "int64", "number": "double"}
"""Without them, generators for Go, C# and Java read 32 bits, which are too few for a file's size."""
_ANY: Final = {"description": "Any JSON value."}
"""The schema of `object`. msgspec drops an empty one."""
_NAMED: Final[dict[str, dict[str, Any]]] = {
    "Metadata": {
        "description": "The caller's own data.",
        "type": "object",
        "additionalProperties": {"description": "A string, a number, true, false or null."},
    },
    "JsonObject": {"description": "Any JSON object.", "type": "object", "additionalProperties": _ANY},
}
"""Maps. Without a name, some generators make a class for each field that holds one."""
_MAPS: Final = {
    "Metadata": msgspec.json.schema(Metadata),
    "JsonObject": {"type": "object", "additionalProperties": _ANY},
}
"""What msgspec writes for them."""


def components(operations: Iterable[Operation], extra_answers: Iterable[Shape]) -> dict[str, Any]:
    """All schemas by name: of the Structs in the operations and of `extra_answers`, of forms, of unions."""
    table = list(operations)
    bodies = [one.body for one in table if one.body is not None]
    answers = [answer for one in table for answer in one.answers]
    sent = {one.shape for one in bodies if one.shape is not None}
    answered = {*extra_answers, *(shape for one in answers for shape in _shapes(one))}
    _, schemas = msgspec.json.schema_components(
        [*sent, *answered], ref_template=_REFERENCE, schema_hook=_any_value
    )
    for shape in {found for one in answered for found in _structs(inspect.type_info(one))}:
        if not shape.__struct_config__.omit_defaults:
            _require_all_fields(schemas[shape.__name__])
    portable = {name: _portable(schema) for name, schema in schemas.items()}
    forms = {str(form["title"]): dict(form) for one in bodies for form in _forms(one)}
    unions = {
        _union_name(one.shapes): {"oneOf": [reference(shape.__name__) for shape in one.shapes]}
        for one in answers
        if len(one.shapes) > 1
    }
    return dict(sorted({**portable, **_NAMED, **forms, **unions}.items()))


def reference(name: str) -> dict[str, Any]:
    """A reference to a named schema. A Struct's has the Struct's name."""
    return {"$ref": _REFERENCE.format(name=name)}


def one_of(shapes: Iterable[Shape]) -> dict[str, Any]:
    """A reference to the schema of any of the shapes: a Struct's own, or a named union."""
    return reference(_union_name(shapes))


def body_schema(schema: Schema) -> dict[str, Any]:
    """The schema of a body that no Struct describes: a reference, if it has a title."""
    return reference(str(schema["title"])) if "title" in schema else dict(schema)


def as_json(example: object) -> object:
    """An example as plain JSON values."""
    decoded: object = msgspec.json.decode(msgspec.json.encode(example))
    return decoded


def _forms(body: Body) -> Iterator[dict[str, Any]]:
    """Its schemas that have a name of their own."""
    for schema in (body.schema, body.form):
        if schema is not None and "title" in schema:
            yield dict(schema)


def _portable(schema: dict[str, Any]) -> dict[str, Any]:
    """For generators: enums have a type, numbers a width, tuples one kind of item, some maps a name.

    Raises ValueError for a tuple of several kinds, which most generators cannot express.
    """
    if (name := _map_name(schema)) is not None:
        return reference(name)
    found = {word: _below(word, value) for word, value in schema.items()}
    if "prefixItems" in found:
        kind, *others = found.pop("prefixItems")
        if any(one != kind for one in others):
            raise ValueError(f"client generators refuse a tuple of several kinds: {schema}")
        found["items"] = kind
    if "enum" in found:
        found.setdefault("type", "string")
    if (width := _FORMATS.get(found.get("type", ""))) is not None:
        found["format"] = width
    if "description" in found:
        found["description"] = cleandoc(found["description"])
    return found


def _below(word: str, value: Any) -> Any:
    """The value of one of a schema's words, with the schemas in it made portable."""
    if word == "properties":
        return {field: _portable(one) for field, one in value.items()}
    if word in {"anyOf", "prefixItems"}:
        return [_portable(one) for one in value]
    if word in {"items", "additionalProperties"} and isinstance(value, dict):
        return _portable(value)
    return value


def _map_name(schema: dict[str, Any]) -> str | None:
    bare = {word: value for word, value in schema.items() if word != "default"}
    return next((name for name, one in _MAPS.items() if bare == one), None)


def _union_name(shapes: Iterable[Shape]) -> str:
    return "Or".join(shape.__name__ for shape in shapes)


def _shapes(answer: Answer) -> Iterator[Shape]:
    yield from answer.shapes
    yield from (event.shape for event in answer.events)
    yield from answer.contains.values()


def _structs(node: object) -> Iterator[Shape]:
    """The Structs that a type contains."""
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


def _any_value(kind: type) -> dict[str, object]:
    if kind is object:
        return dict(_ANY)
    raise NotImplementedError


def _require_all_fields(schema: dict[str, Any]) -> None:
    schema["required"] = list(schema["properties"])
    for field in schema["properties"].values():
        field.pop("default", None)
