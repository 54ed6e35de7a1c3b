"""What makes two runs the same: the bytes, the model, the normalised parameters, and whose they are.

Who calls it: the acceptance of a batch. Pure.
"""

import hashlib
from collections.abc import Mapping

import msgspec


def digest(
    sha256: str, model: str, params: Mapping[str, object], *, owner: str, dedupe: str, no_cache: bool
) -> str:
    """Hex SHA-256 over all of it; empty where nothing may be reused.

    `dedupe` is `I2M_DEDUPE`: under `owner` another key's results do not exist, under `global` they do.
    """
    if no_cache or dedupe == "off":
        return ""
    whose = owner if dedupe == "owner" else ""
    text = msgspec.json.encode([whose, model, dict(params), sha256], order="sorted")
    return hashlib.sha256(text).hexdigest()
