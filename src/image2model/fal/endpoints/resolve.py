"""Reads the schemas of an OpenAPI document: references, combined and nullable schemas, and FAL's order.

The document comes from outside: its size, its depth and circles in it take bounded time. Pure: no I/O.
"""

from collections.abc import Iterator, Mapping
from typing import Final, cast

Node = Mapping[str, object]

_MAX_DEPTH: Final = 16
_MAX_STEPS: Final = 200_000
"""Schemas that are read, and members that are merged; FAL's documents take some thousands."""
_MAX_REFERENCE: Final = 500
_MAX_FIELDS: Final = 200
_ORDER_KEYS: Final = ("x-fal-order-properties", "x-order-properties", "order")
_EMPTY: Final[Node] = {}


class SchemaUnreadable(ValueError):
    """The document does not describe an endpoint; the message says what it lacks."""


class Document:
    """One OpenAPI document. Each method raises SchemaUnreadable once the document has taken too long."""

    def __init__(self, document: object) -> None:
        self._root = node(document)
        self._steps = 0

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
        self._spend(len(fields))
        order = next((schema[key] for key in _ORDER_KEYS if isinstance(schema.get(key), list)), [])
        first = [name for name in cast("list[object]", order) if isinstance(name, str) and name in fields]
        names = dict.fromkeys([*first, *fields])
        for name in list(names)[:_MAX_FIELDS]:
            if isinstance(name, str):
                yield name, self.resolve(fields[name])

    def _resolve(self, schema: Node, depth: int) -> Node:
        self._spend(10 + sum(len(value) for value in schema.values() if isinstance(value, Mapping | list)))
        if depth <= 0:
            return _EMPTY
        merged: dict[str, object] = {}
        reference = schema.get("$ref")
        if isinstance(reference, str):
            merged.update(self._resolve(self._referred(reference), depth - 1))
        for part in _list(schema.get("allOf")):
            merged = self._merge(merged, self._resolve(node(part), depth - 1))
        own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf", "anyOf", "oneOf")}
        merged = self._merge(merged, own)
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
        """One choice besides null is the schema; of several, what all have in common.

        Enumerations are taken together. Else the type remains, where it is the same in all, and the types of
        the choices are in `choices`.
        """
        found = [self._resolve(one, depth - 1) for one in choices]
        others = [one for one in found if one.get("type") != "null" and one.get("enum") != [None]]
        nullable = len(others) < len(found) or any(one.get("nullable") for one in others)
        if len(others) == 1:
            merged = self._merge(dict(others[0]), own)
        else:
            kinds = {kind if isinstance(kind := one.get("type"), str) else None for one in others}
            common: dict[str, object] = {"type": _common(kinds)}
            if others and all(_list(one.get("enum")) for one in others):
                self._spend(sum(len(_list(one["enum"])) for one in others))
                common["enum"] = [value for one in others for value in _list(one["enum"])]
            merged = {**common, **own, "choices": tuple(others)}
        if nullable:
            merged["nullable"] = True
        return merged

    def _merge(self, below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
        """Both schemas in one: `above` wins, and properties and required names add up."""
        merged = {**below, **above}
        self._spend(len(merged))
        if "properties" in below and "properties" in above:
            merged["properties"] = {**node(below["properties"]), **node(above["properties"])}
            self._spend(len(node(merged["properties"])))
        if "required" in below and "required" in above:
            required = [*_list(below["required"]), *_list(above["required"])]
            self._spend(len(required))
            merged["required"] = list(dict.fromkeys(name for name in required if isinstance(name, str)))
        return merged

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > _MAX_STEPS:
            raise SchemaUnreadable(f"the document takes more than {_MAX_STEPS} steps to read")

    def _referred(self, reference: str) -> Node:
        if len(reference) > _MAX_REFERENCE:
            return _EMPTY
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


def _common(kinds: set[str | None]) -> str | None:
    """The type that covers all of these; None where there is none."""
    if kinds == {"integer", "number"}:
        return "number"
    return next(iter(kinds)) if len(kinds) == 1 else None
