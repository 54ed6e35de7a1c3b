"""What a check of `doctor` finds: one row of its report each."""

from enum import StrEnum

import msgspec


class State(StrEnum):
    """How bad a finding is: only `broken` makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


class Finding(msgspec.Struct, frozen=True):
    """One row of the report. `advice` is empty where nothing is wrong."""

    part: str
    state: State
    detail: str
    advice: str = ""


def ok(part: str, detail: str) -> Finding:
    """Nothing is wrong."""
    return Finding(part, State.OK, detail)


def warning(part: str, detail: str, advice: str) -> Finding:
    """It works, but something needs attention."""
    return Finding(part, State.WARNING, detail, advice)


def broken(part: str, detail: str, advice: str) -> Finding:
    """The service cannot work."""
    return Finding(part, State.BROKEN, detail, advice)
