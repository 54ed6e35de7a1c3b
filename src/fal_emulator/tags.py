"""Parses `X-Fal-Tags: k=v,k=v` by FAL's documented limits. Called by the submit."""

import re

_KEY = re.compile(r"[a-z0-9._-]{1,64}")
_MAX_PAIRS, _MAX_VALUE, _MAX_BYTES = 10, 256, 1024


class TagsError(Exception):
    """The header breaks a limit; the message says which."""


def parse_tags(header: str) -> dict[str, str]:
    """The pairs as a dict, empty for an empty header. Raises TagsError."""
    if len(header.encode()) > _MAX_BYTES:
        raise TagsError(f"X-Fal-Tags is longer than {_MAX_BYTES} bytes")
    pairs = [pair.strip() for pair in header.split(",") if pair.strip()]
    if len(pairs) > _MAX_PAIRS:
        raise TagsError(f"X-Fal-Tags has more than {_MAX_PAIRS} pairs")
    return dict(_pair(pair) for pair in pairs)


def _pair(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not equals or _KEY.fullmatch(key) is None or len(value) > _MAX_VALUE:
        raise TagsError(f"{pair!r} is not key=value with a key of [a-z0-9._-] up to 64 characters")
    if key.startswith("fal."):
        raise TagsError("keys that start with fal. are reserved")
    return key, value
