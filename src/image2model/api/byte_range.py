"""One byte range of a file, as RFC 9110 section 14 has it. Who calls it: the files route. Pure."""

import re
from typing import Final

_RANGE: Final = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.ASCII | re.IGNORECASE)
_DIGITS: Final = 19


class Unsatisfiable(ValueError):
    """The range begins behind the file's end."""


def parse(header: str, size: int) -> tuple[int, int] | None:
    """The range as (start, end exclusive) within `size` bytes.

    None where the header is to be ignored: another unit, several ranges, or no range at all. Raises
    Unsatisfiable.
    """
    match = _RANGE.fullmatch(header)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return _last(_number(match[2]), size)
    start = _number(match[1])
    if match[2] and _number(match[2]) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return start, min(_number(match[2]) + 1, size) if match[2] else size


def _number(digits: str) -> int:
    """The number, or one beyond every file: Python refuses to read thousands of digits."""
    return int(digits.lstrip("0")[:_DIGITS] or "0")


def _last(count: int, size: int) -> tuple[int, int]:
    if count == 0 or size == 0:
        raise Unsatisfiable
    return max(0, size - count), size
