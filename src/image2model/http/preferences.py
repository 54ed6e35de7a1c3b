"""The request header `Prefer` (RFC 7240): how long a client wants to wait for what it has asked for. Pure.

A preference never refuses a request: what is malformed or unknown is ignored.
"""

import re
from collections.abc import Iterator
from typing import Final

from starlette.datastructures import Headers

MAX_WAIT_S: Final = 50
"""Proxies close a connection that is silent for 60 s."""
_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*+"'
_PREFERENCE: Final = re.compile(
    rf'\s*+(?P<name>{_NAME})\s*+(?:=\s*+(?P<value>{_QUOTED}|[^\s",;]++)?\s*+)?(?:;(?:{_QUOTED}|[^",])*+)?'
)
_ELEMENT: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[^",])++')
"""One element of the list. A comma within quotes does not end it, and an open quote has no end."""
_SECONDS: Final = re.compile(r"[0-9]+")
_DIGITS: Final = 10
"""Python refuses to read thousands of them."""


def wait_of(headers: Headers) -> int | None:
    """The seconds that the client wants to wait, at most `MAX_WAIT_S`; None where it does not.

    `wait` without a number is the longest time, as in Replicate's API. Of several values the first counts.
    """
    values = headers.getlist("prefer")
    found = next((value for name, value in _preferences(values) if name == "wait"), None) if values else None
    if found is None:
        return None
    if not found:
        return MAX_WAIT_S
    if not _SECONDS.fullmatch(found):
        return None
    digits = found.lstrip("0")
    return min(int(digits or "0"), MAX_WAIT_S) if len(digits) < _DIGITS else MAX_WAIT_S


def _preferences(values: list[str]) -> Iterator[tuple[str, str]]:
    """Names in lower case, with their values without quotes; empty without one (RFC 7240, 2)."""
    for element in _ELEMENT.findall(",".join(values)):
        if found := _PREFERENCE.fullmatch(element):
            value = found["value"] or ""
            yield found["name"].lower(), value[1:-1] if value.startswith('"') else value
