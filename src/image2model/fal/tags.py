"""`X-Fal-Tags`: our marks on a paid request, by which it can be found again at FAL.

Who calls it: the submission. Pure.
"""

import re
from collections.abc import Mapping

_KEY = re.compile(r"[a-z0-9._-]{1,64}")
_LONGEST_VALUE = 256
_LONGEST = 1024
_MOST = 10


def format_tags(tags: Mapping[str, str]) -> str:
    """The header's value, `k=v,k=v`. Raises ValueError where FAL's limits do not hold."""
    if len(tags) > _MOST:
        raise ValueError(f"at most {_MOST} tags, not {len(tags)}")
    for name, value in tags.items():
        _check(name, value)
    header = ",".join(f"{name}={value}" for name, value in tags.items())
    if len(header) > _LONGEST:
        raise ValueError(f"tags take {len(header)} bytes, FAL's limit is {_LONGEST}")
    return header


def _check(name: str, value: str) -> None:
    if not _KEY.fullmatch(name) or name.startswith("fal."):
        raise ValueError(f"{name!r} is no tag name: a-z, 0-9, '.', '_', '-', at most 64, not 'fal.…'")
    clean = value.isascii() and value.isprintable() and "," not in value and "=" not in value
    if not clean or len(value) > _LONGEST_VALUE:
        raise ValueError(
            f"the value of tag {name!r} must be printable ASCII without ',' and '=', at most 256"
        )
