"""Which strings are keys of objects.

Called by `objects` on every key. The alphabet is narrow on purpose: such a key is one path below the
root on every file system, needs no quoting in a URL, and can never name one of obstore's `#1` files.
"""

import re

# 200, not 255: the file system must still take the name of the file that is being written.
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,200}", re.ASCII)
_MAX_LENGTH = 900


def check_key(key: str) -> str:
    """`key` itself. Raises ValueError unless it is `segment/segment/…` of letters, digits, `.`, `_`, `-`."""
    if len(key) <= _MAX_LENGTH and all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
        return key
    raise ValueError(f"{key[:120]!r} is no storage key: use segments of A-Z a-z 0-9 . _ - joined by '/'")


def check_prefix(prefix: str) -> str:
    """`prefix` without a closing slash; it is made of whole segments, and is not empty."""
    return check_key(prefix.removesuffix("/"))
