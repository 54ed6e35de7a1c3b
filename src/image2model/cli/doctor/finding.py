"""What a check found, and what to do about it.

Who calls it: every check returns some, the command shows them.
"""

from enum import StrEnum

import msgspec


class State(StrEnum):
    """How bad it is: only `broken` makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


class Finding(msgspec.Struct, frozen=True):
    """One row. `advice` is empty where all is well."""

    part: str
    state: State
    detail: str
    advice: str = ""


def ok(part: str, detail: str) -> Finding:
    """All is well."""
    return Finding(part, State.OK, detail)


def warning(part: str, detail: str, advice: str) -> Finding:
    """It works, and may disappoint."""
    return Finding(part, State.WARNING, detail, advice)


def broken(part: str, detail: str, advice: str) -> Finding:
    """The service cannot work like this."""
    return Finding(part, State.BROKEN, detail, advice)
