"""The text fields of a form that have few values: flags, as people and libraries write them, and choices."""

from collections.abc import Mapping
from typing import Final

from image2model.errors import InvalidParameter

_TRUE: Final = frozenset({"true", "1", "on", "yes"})
_FALSE: Final = frozenset({"false", "0", "off", "no"})


def flag_of(text: str) -> bool | None:
    """The truth value that a text stands for, in any case; None where it is something else."""
    word = text.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else None


def read_flag(fields: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Raises InvalidParameter."""
    text = fields.get(name)
    if text is None:
        return default
    flag = flag_of(text)
    if flag is None:
        raise InvalidParameter(f"`{name}` must be true or false, not {text[:32]!r}.")
    return flag


def read_choice(fields: Mapping[str, str], name: str, choices: Mapping[str, bool]) -> bool:
    """What the chosen word means; the first is the default. Raises InvalidParameter."""
    text = fields.get(name, next(iter(choices)))
    if text not in choices:
        raise InvalidParameter(f"`{name}` must be {' or '.join(choices)}, not {text[:32]!r}.")
    return choices[text]
