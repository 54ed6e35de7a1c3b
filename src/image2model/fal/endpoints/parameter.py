"""One parameter of an endpoint: the part of JSON Schema that FAL's documents use, and the check of a value.

FAL's server is strict about an enumeration's JSON type ("1024" is refused where it lists 1024) and ignores
fields that it does not know. So a value is accepted in either spelling, and becomes what the schema has.

Pure: no I/O.
"""

import math
import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

Scalar = bool | int | float | str
Json = Scalar | None | list[object] | dict[str, object]
Kind = Literal["boolean", "integer", "number", "string", "array", "object", "any"]

_LARGEST: Final = 2**63 - 1
_MAX_TEXT: Final = 8_192
_MAX_DEPTH: Final = 8
_MAX_NODES: Final = 4_096
"""Bounds of a value that is a list or an object."""
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,18})?", re.ASCII)
_KIND_NAMES: Final[dict[Kind, str]] = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "array": "a list",
    "object": "a JSON object",
    "any": "a JSON value",
}


class Parameter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Type, choices, range and FAL's own default of one parameter.

    `items` is set for an array, and `properties` for an object whose members are known. `any` is a value
    whose type FAL does not narrow down. The records are kept in the store: fields are only added.
    """

    type: Kind
    description: str = ""
    default: Json = None
    enum: tuple[Scalar, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    nullable: bool = False
    required: bool = False
    items: "Parameter | None" = None
    properties: tuple[tuple[str, "Parameter"], ...] = ()
    min_items: int | None = None
    max_items: int | None = None

    def schema(self) -> dict[str, object]:
        """This parameter as a JSON Schema property."""
        schema: dict[str, object] = {}
        if self.type != "any":
            schema["type"] = [self.type, "null"] if self.nullable else self.type
        if self.description:
            schema["description"] = self.description
        if self.enum:
            schema["enum"] = [*self.enum, None] if self.nullable else list(self.enum)
        for name, key in _KEYWORDS:
            if (value := getattr(self, name)) is not None:
                schema[key] = value
        if self.items is not None:
            schema["items"] = self.items.schema()
        if self.properties:
            schema["properties"] = {name: one.schema() for name, one in self.properties}
            schema["required"] = [name for name, one in self.properties if one.required]
        return schema

    def accept(self, value: object) -> Json:
        """The value in the schema's JSON type, in its canonical form (1.0 becomes 1).

        Raises ValueError, which says what is expected.
        """
        return self._accept(value, _MAX_DEPTH)

    def _accept(self, value: object, depth: int) -> Json:
        if value is None and self.nullable:
            return None
        if self.enum:
            return self._chosen(value)
        if self.type == "array":
            return self._list(value, depth)
        if self.type == "object":
            return self._object(value, depth)
        if self.type == "any":
            return bounded(value)
        scalar = self._scalar(value)
        if isinstance(scalar, int | float) and not isinstance(scalar, bool) and not self._within(scalar):
            raise ValueError(f"must be {self._range()}")
        return scalar

    def _chosen(self, value: object) -> Scalar:
        """The choice that the value spells, in either JSON type: 1024, 1024.0 and "1024" are the same."""
        if isinstance(value, Scalar):
            alike = [one for one in self.enum if isinstance(one, bool) == isinstance(value, bool)]
            for same in (_identity, _spelling, _quantity):
                wanted = same(value)
                for choice in alike:
                    if same(choice) == wanted:
                        return choice
        raise ValueError(f"must be one of {', '.join(map(_shown, self.enum))}")

    def _scalar(self, value: object) -> Scalar:
        if self.type == "boolean":
            if isinstance(value, str) and value.lower() in ("true", "false"):
                return value.lower() == "true"
            if isinstance(value, bool):
                return value
        elif self.type == "string":
            if isinstance(value, str):
                if len(value) > _MAX_TEXT:
                    raise ValueError(f"must be at most {_MAX_TEXT} characters long")
                _check_text(value)
                return value
        elif isinstance(value, str) and _NUMBER.fullmatch(value):
            return self._numeric(float(value) if "." in value else int(value))
        elif isinstance(value, int | float):
            return self._numeric(value)
        raise self._wrong_type

    def _numeric(self, value: float) -> Scalar:
        if isinstance(value, bool) or not -_LARGEST <= value <= _LARGEST:
            raise self._wrong_type
        if float(value).is_integer():
            return int(value)
        if self.type == "integer":
            raise self._wrong_type
        return value

    def _list(self, value: object, depth: int) -> Json:
        if not isinstance(value, list):
            raise self._wrong_type
        least, most = self.min_items or 0, self.max_items
        if len(value) < least or (most is not None and len(value) > most):
            raise ValueError(f"must have {count_of(least, most)} entries")
        if self.items is None or depth <= 0:
            return bounded(value)
        bounded(value)
        return [_member(self.items, at, one, depth) for at, one in enumerate(value)]

    def _object(self, value: object, depth: int) -> Json:
        if not isinstance(value, dict):
            raise self._wrong_type
        bounded(value)
        known = dict(self.properties)
        missing = [name for name, one in self.properties if one.required and name not in value]
        if missing:
            raise ValueError(f"lacks {', '.join(missing)}")
        if not known or depth <= 0:
            return dict(value)
        unknown = [name for name in value if name not in known]
        if unknown:
            raise ValueError(f"has no {unknown[0][:64]!r}, only: {', '.join(known)}")
        return {name: _member(known[name], name, one, depth) for name, one in value.items()}

    @property
    def _wrong_type(self) -> ValueError:
        return ValueError(f"must be {_KIND_NAMES[self.type]}")

    def _within(self, value: float) -> bool:
        least = (self.minimum is None or value >= self.minimum) and (self.above is None or value > self.above)
        return least and (
            (self.maximum is None or value <= self.maximum) and (self.below is None or value < self.below)
        )

    def _range(self) -> str:
        if self.above is None and self.below is None and None not in (self.minimum, self.maximum):
            return f"from {_shown(self.minimum)} to {_shown(self.maximum)}"
        bounds = (
            ("at least", self.minimum),
            ("more than", self.above),
            ("at most", self.maximum),
            ("less than", self.below),
        )
        return " and ".join(f"{word} {_shown(bound)}" for word, bound in bounds if bound is not None)


Parameters = Mapping[str, Parameter]

_KEYWORDS: Final = (
    ("default", "default"),
    ("minimum", "minimum"),
    ("maximum", "maximum"),
    ("above", "exclusiveMinimum"),
    ("below", "exclusiveMaximum"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
)


def bounded(value: object) -> Json:
    """The same JSON value. Raises ValueError where it is too deep or too large to be anybody's parameter."""
    pending, nodes = [(value, 0)], 0
    while pending:
        one, depth = pending.pop()
        nodes += 1
        if depth > _MAX_DEPTH or nodes > _MAX_NODES:
            raise ValueError(f"is nested more than {_MAX_DEPTH} deep or has more than {_MAX_NODES} values")
        if isinstance(one, dict):
            pending += [(part, depth + 1) for member in one.items() for part in member]
        elif isinstance(one, list):
            pending += [(part, depth + 1) for part in one]
        elif isinstance(one, str):
            if len(one) > _MAX_TEXT:
                raise ValueError(f"has a text of more than {_MAX_TEXT} characters")
            _check_text(one)
        elif isinstance(one, float) and not math.isfinite(one):
            raise ValueError("has a number that JSON does not know")
        elif isinstance(one, int) and not -_LARGEST <= one <= _LARGEST:
            raise ValueError("has a number of more than 64 bits")
    return value  # type: ignore[return-value]


def _member(parameter: Parameter, at: int | str, value: object, depth: int) -> Json:
    try:
        return parameter._accept(value, depth - 1)  # noqa: SLF001 - the same class, one level down
    except ValueError as fault:
        raise ValueError(f"[{at}] {fault}") from fault


def _check_text(value: str) -> None:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("has a text with half of a character") from None


def _identity(value: Scalar) -> tuple[bool, Scalar]:
    return isinstance(value, str), value


def _quantity(value: Scalar) -> Scalar:
    """The number that a text spells: "1.0" and 1 are the same."""
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


def _spelling(value: Scalar) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST:
        value = int(value)
    return value if isinstance(value, str) else _shown(value)


def count_of(least: int, most: int | None) -> str:
    """How many, in words; without `most`, there is no limit."""
    if most is None:
        return f"at least {least}"
    return str(least) if least == most else f"{least} to {most}"


def _shown(value: Scalar | None) -> str:
    return msgspec.json.encode(
        int(value) if isinstance(value, float) and value.is_integer() else value
    ).decode()
