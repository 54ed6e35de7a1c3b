"""One parameter of a model: the part of JSON Schema that FAL's image-to-3D models need.

Pure: no I/O.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

Scalar = bool | int | float | str
Kind = Literal["boolean", "integer", "number", "string"]

_LARGEST = 2**63 - 1
_KIND_NAMES: dict[Kind, str] = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
}


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """Type, choices, range and FAL's own default of one parameter."""

    type: Kind
    description: str
    default: Scalar | None = None
    enum: tuple[Scalar, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    def schema(self) -> dict[str, object]:
        """This parameter as a JSON Schema property."""
        schema: dict[str, object] = {"type": self.type, "description": self.description}
        if self.enum:
            schema["enum"] = list(self.enum)
        for name in ("default", "minimum", "maximum"):
            if (value := getattr(self, name)) is not None:
                schema[name] = value
        return schema

    def accept(self, value: object) -> Scalar:
        """The value in its canonical form (1.0 becomes 1). Raises ValueError, which says what is expected."""
        scalar = self._typed(value)
        if self.enum and scalar not in self.enum:
            raise ValueError(f"must be one of {', '.join(map(_shown, self.enum))}")
        if isinstance(scalar, int | float) and not self._within(scalar):
            raise ValueError(f"must be {self._range()}")
        return scalar

    def _typed(self, value: object) -> Scalar:
        if self.type == "boolean" and isinstance(value, bool):
            return value
        if self.type == "string" and isinstance(value, str):
            return value
        if self.type in ("integer", "number") and isinstance(value, int | float):
            return self._numeric(value)
        raise ValueError(f"must be {_KIND_NAMES[self.type]}")

    def _numeric(self, value: float) -> Scalar:
        if isinstance(value, bool) or not -_LARGEST <= value <= _LARGEST:
            raise ValueError(f"must be {_KIND_NAMES[self.type]}")
        if float(value).is_integer():
            return int(value)
        if self.type == "integer":
            raise ValueError(f"must be {_KIND_NAMES[self.type]}")
        return value

    def _within(self, value: float) -> bool:
        above = self.minimum is None or value >= self.minimum
        return above and (self.maximum is None or value <= self.maximum)

    def _range(self) -> str:
        if self.maximum is None:
            return f"at least {_shown(self.minimum)}"
        if self.minimum is None:
            return f"at most {_shown(self.maximum)}"
        return f"from {_shown(self.minimum)} to {_shown(self.maximum)}"


Parameters = Mapping[str, Parameter]


def boolean(description: str, default: bool | None = None) -> Parameter:
    """A switch."""
    return Parameter(type="boolean", description=description, default=default)


def choice(description: str, *values: str | int, default: str | int | None = None) -> Parameter:
    """One of the values: all of them texts, or all whole numbers."""
    kind: Kind = "integer" if isinstance(values[0], int) else "string"
    return Parameter(type=kind, description=description, enum=values, default=default)


def integer(
    description: str, minimum: int | None = None, maximum: int | None = None, *, default: int | None = None
) -> Parameter:
    """A whole number within a range."""
    return Parameter(
        type="integer", description=description, minimum=minimum, maximum=maximum, default=default
    )


def number(
    description: str,
    minimum: float | None = None,
    maximum: float | None = None,
    *,
    default: float | None = None,
) -> Parameter:
    """A number within a range."""
    return Parameter(
        type="number", description=description, minimum=minimum, maximum=maximum, default=default
    )


def _shown(value: Scalar | None) -> str:
    return msgspec.json.encode(
        int(value) if isinstance(value, float) and value.is_integer() else value
    ).decode()


SEED = integer("Seed for reproducible results.")
