"""The Structs as JSON Schemas, and examples as plain values. Who calls it: the document.

msgspec counts a field with a default as optional. That is so in what is sent to us; what we answer holds
every field, unless its Struct leaves defaults out.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import inspect

from image2model.api.reference.operation import Operation

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
