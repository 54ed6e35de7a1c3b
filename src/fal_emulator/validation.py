"""Checks a model's input against its row of the endpoint table, as pydantic does on FAL's own server.

Called by the studio when a generation starts, because FAL's queue takes any JSON and the model refuses it.
Values are read as pydantic reads JSON in its lax mode: "7" is a whole number, an enumeration takes exactly
its own values. Unknown fields are ignored.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from fal_emulator.endpoints import Endpoint, Field

Loc = tuple[str | int, ...]

_TRUE = frozenset({"1", "on", "t", "true", "y", "yes"})
_FALSE = frozenset({"0", "off", "f", "false", "n", "no"})
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)
_MAX_DIGITS = 4300


class Mistake(msgspec.Struct, frozen=True):
    """`loc` is the field's path under the body, `kind` pydantic's name of the mistake, `ctx` what it adds."""

    message: str
    kind: str
    loc: Loc
    given: object
    ctx: dict[str, object] | None = None


class InputError(Exception):
    """Everything that is wrong with an input."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(mistake.message for mistake in mistakes))
        self.mistakes = mistakes


class _WrongError(Exception):
    """One value is wrong; its place is added by the caller."""

    def __init__(self, message: str, kind: str, **ctx: object) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.ctx = ctx or None


def accept(endpoint: Endpoint, arguments: Mapping[str, object]) -> dict[str, object]:
    """The fields that the endpoint knows, read as its types. Raises InputError with all that is wrong."""
    mistakes: list[Mistake] = []
    accepted = _fields(endpoint.fields, arguments, (), mistakes)
    if mistakes:
        raise InputError(mistakes)
    return accepted


def given_urls(endpoint: Endpoint, accepted: Mapping[str, object]) -> list[tuple[Loc, Field, str]]:
    """Every URL in an accepted input, with its place and its field."""
    found: list[tuple[Loc, Field, str]] = []
    for name, field in endpoint.fields.items():
        value = accepted.get(name) if field.role is not None else None
        if isinstance(value, str):
            found.append(((name,), field, value))
        elif isinstance(value, list):
            found += [((name, at), field, str(item)) for at, item in enumerate(value)]
    return found


def _fields(
    fields: Mapping[str, Field], given: Mapping[str, object], loc: Loc, mistakes: list[Mistake]
) -> dict[str, object]:
    accepted: dict[str, object] = {}
    for name, field in fields.items():
        place = (*loc, name)
        if name not in given:
            if field.required:
                mistakes.append(Mistake("Field required", "missing", place, given))
            continue
        value = given[name]
        if value is None and field.takes_null:
            continue
        accepted[name] = _value(field, value, place, mistakes)
    return accepted


def _value(field: Field, value: object, loc: Loc, mistakes: list[Mistake]) -> object:
    try:
        if field.kind == "array":
            return _array(field, value, loc, mistakes)
        if field.kind == "object":
            return _object(field, value, loc, mistakes)
        return _scalar(field, value)
    except _WrongError as wrong:
        mistakes.append(Mistake(wrong.message, wrong.kind, loc, value, wrong.ctx))
        return None


def _scalar(field: Field, value: object) -> object:
    if field.choices:
        return _choice(field, value)
    return _short(field, _bounded(field, _SCALARS[field.kind](value)))


def _array(field: Field, value: object, loc: Loc, mistakes: list[Mistake]) -> object:
    if not isinstance(value, list):
        raise _WrongError("Input should be a valid list", "list_type")
    found = len(value)
    if field.min_items is not None and found < field.min_items:
        words = _count("List should have at least", field.min_items, found)
        raise _WrongError(
            words, "too_short", field_type="List", min_length=field.min_items, actual_length=found
        )
    if field.max_items is not None and found > field.max_items:
        words = _count("List should have at most", field.max_items, found)
        raise _WrongError(
            words, "too_long", field_type="List", max_length=field.max_items, actual_length=found
        )
    items = field.items
    return (
        value if items is None else [_value(items, one, (*loc, at), mistakes) for at, one in enumerate(value)]
    )


def _count(words: str, bound: int, found: int) -> str:
    return f"{words} {bound} item{'' if bound == 1 else 's'} after validation, not {found}"


def _object(field: Field, value: object, loc: Loc, mistakes: list[Mistake]) -> object:
    if not isinstance(value, dict):
        raise _WrongError(
            "Input should be a valid dictionary or object to extract fields from", "model_attributes_type"
        )
    return _fields(field.fields, value, loc, mistakes) if field.fields else value


def _choice(field: Field, value: object) -> object:
    """One of the values: pydantic's Literal takes 512.0 for 512, but neither "512" nor True for 1."""
    for choice in field.choices:
        if (
            isinstance(value, str) is isinstance(choice, str)
            and choice == value
            and not isinstance(value, bool)
        ):
            return choice
    names = [repr(choice) for choice in field.choices]
    expected = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    raise _WrongError(f"Input should be {expected}", "literal_error", expected=expected)


def _short(field: Field, value: object) -> object:
    most = field.max_length
    if most is not None and isinstance(value, str) and len(value) > most:
        words = f"String should have at most {most} character{'' if most == 1 else 's'}"
        raise _WrongError(words, "string_too_long", max_length=most)
    return value


def _string(value: object) -> object:
    if not isinstance(value, str):
        raise _WrongError("Input should be a valid string", "string_type")
    return value


def _integer(value: object) -> object:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _WrongError("Input should be a finite number", "finite_number")
        if not value.is_integer():
            words = "Input should be a valid integer, got a number with a fractional part"
            raise _WrongError(words, "int_from_float")
        return int(value)
    if not isinstance(value, str):
        raise _WrongError("Input should be a valid integer", "int_type")
    if len(value) <= _MAX_DIGITS and _WHOLE.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    raise _WrongError("Input should be a valid integer, unable to parse string as an integer", "int_parsing")


def _number(value: object) -> object:
    if isinstance(value, int | float):
        return value if not isinstance(value, bool) else float(value)
    if not isinstance(value, str):
        raise _WrongError("Input should be a valid number", "float_type")
    try:
        return float(value)
    except ValueError:
        words = "Input should be a valid number, unable to parse string as a number"
        raise _WrongError(words, "float_parsing") from None


def _boolean(value: object) -> object:
    if isinstance(value, bool):
        return value
    if not isinstance(value, int | float | str):
        raise _WrongError("Input should be a valid boolean", "bool_type")
    word = value.lower() if isinstance(value, str) else value
    if word in _TRUE or word == 1:
        return True
    if word in _FALSE or word == 0:
        return False
    raise _WrongError("Input should be a valid boolean, unable to interpret input", "bool_parsing")


_SCALARS: Mapping[str, Callable[[object], object]] = MappingProxyType(
    {"string": _string, "integer": _integer, "number": _number, "boolean": _boolean}
)


def _bounded(field: Field, value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    for bound, holds, words, kind, short in (
        (field.minimum, operator.ge, "greater than or equal to", "greater_than_equal", "ge"),
        (field.maximum, operator.le, "less than or equal to", "less_than_equal", "le"),
        (field.above, operator.gt, "greater than", "greater_than", "gt"),
        (field.below, operator.lt, "less than", "less_than", "lt"),
    ):
        if bound is not None and not holds(value, bound):
            plain = int(bound) if float(bound).is_integer() else bound
            raise _WrongError(f"Input should be {words} {plain}", kind, **{short: plain})
    return value
