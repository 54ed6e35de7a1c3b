"""Reads the schemas of an OpenAPI document: references, combined and nullable schemas, and FAL's order.

The document comes from outside: its size, its depth and circles in it take bounded time. Pure: no I/O.
"""

from collections.abc import Iterator, Mapping
from typing import Final, cast

Node = Mapping[str, object]

_MAX_DEPTH: Final = 16
_MAX_NODES: Final = 20_000
_MAX_FIELDS: Final = 200
_ORDER_KEYS: Final = ("x-fal-order-properties", "x-order-properties", "order")
_EMPTY: Final[Node] = {}


class SchemaUnreadable(ValueError):
    """The document does not describe an endpoint; the message says what it lacks."""


class Document:
    """One OpenAPI document. Each method raises SchemaUnreadable once the document has taken too long."""

    def __init__(self, document: object) -> None:
        self._root = node(document)
        self._visited = 0

    def at(self, *path: str) -> Node:
        """The object at this path, references followed; empty where there is none."""
        found: object = self._root
        for name in path:
            found = self.resolve(found).get(name)
        return self.resolve(found)

    def resolve(self, schema: object) -> Node:
        """The schema with `$ref` and `allOf` merged into it, and `anyOf` with one other choice than null.

        Where null is allowed, the result has `nullable`. Members beside a `$ref` win over the referred ones.
        """
        return self._resolve(node(schema), _MAX_DEPTH)

    def properties(self, schema: Node) -> Iterator[tuple[str, Node]]:
        """The fields of an object's schema, in FAL's order where it gives one, at most 200."""
        fields = node(schema.get("properties"))
        order = next((schema[key] for key in _ORDER_KEYS if isinstance(schema.get(key), list)), [])
        first = [name for name in cast("list[object]", order) if isinstance(name, str) and name in fields]
        names = dict.fromkeys([*first, *fields])
        for name in list(names)[:_MAX_FIELDS]:
            if isinstance(name, str):
                yield name, self.resolve(fields[name])

    def _resolve(self, schema: Node, depth: int) -> Node:
        self._visited += 1
        if self._visited > _MAX_NODES:
            raise SchemaUnreadable(f"the document has more than {_MAX_NODES} schemas to read")
        if depth <= 0:
            return _EMPTY
        merged: dict[str, object] = {}
        reference = schema.get("$ref")
        if isinstance(reference, str):
            merged.update(self._resolve(self._referred(reference), depth - 1))
        for part in _list(schema.get("allOf")):
            merged = _merge(merged, self._resolve(node(part), depth - 1))
        own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf", "anyOf", "oneOf")}
        merged = _merge(merged, own)
        choices = _list(schema.get("anyOf")) or _list(schema.get("oneOf"))
        if choices:
            merged = self._choose([node(one) for one in choices], merged, depth)
        kinds = merged.get("type")
        if isinstance(kinds, list):
            merged["nullable"] = "null" in kinds or bool(merged.get("nullable"))
            others = [kind for kind in kinds if kind != "null"]
            merged["type"] = others[0] if len(others) == 1 else None
        if "const" in merged and "enum" not in merged:
            merged["enum"] = [merged["const"]]
        return merged

    def _choose(self, choices: list[Node], own: dict[str, object], depth: int) -> dict[str, object]:
        """One choice besides null is the schema; several of one type give their enumerations together."""
        found = [self._resolve(one, depth - 1) for one in choices]
        others = [one for one in found if one.get("type") != "null" and one.get("enum") != [None]]
        nullable = len(others) < len(found) or any(one.get("nullable") for one in others)
        if len(others) == 1:
            merged = _merge(dict(others[0]), own)
        elif others and all(_list(one.get("enum")) for one in others):
            together = [value for one in others for value in _list(one.get("enum"))]
            merged = _merge({**others[0], "enum": together}, own)
        else:
            merged = {**own, "choices": tuple(others)}
        if nullable:
            merged["nullable"] = True
        return merged

    def _referred(self, reference: str) -> Node:
        found: object = self._root
        for name in reference.removeprefix("#/").split("/"):
            found = node(found).get(name.replace("~1", "/").replace("~0", "~"))
        return node(found)


def node(value: object) -> Node:
    """The value if it is an object, else an empty one."""
    return cast("Node", value) if isinstance(value, Mapping) else _EMPTY


def text(value: object, most: int = 2_000) -> str:
    """The value if it is a text, cut to `most` characters, else an empty one."""
    return value[:most].encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _merge(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """Both schemas in one: `above` wins, and properties and required names add up."""
    merged = {**below, **above}
    if "properties" in below and "properties" in above:
        merged["properties"] = {**node(below["properties"]), **node(above["properties"])}
    if "required" in below and "required" in above:
        merged["required"] = [*_list(below["required"]), *_list(above["required"])]
    return merged
