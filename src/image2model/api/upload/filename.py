"""A client's file name, made fit to be shown. Who calls it: the reader, once for each file.

The result is for display only: it has no folder, no control characters and a bounded length, but it
still is a stranger's text and must never become a path or a key.
"""

import re
import unicodedata
from typing import Final
from urllib.parse import unquote_to_bytes

MAX_BYTES: Final = 200
"""Longest name in UTF-8 bytes; file systems stop at 255, and a suffix must still fit."""

_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_UNSEEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_EXTENDED: Final = re.compile(
    r""";\s*filename\*\s*=\s*"?(utf-8|iso-8859-1)'[^']*'([^\s;"]*)""", re.IGNORECASE
)


def display_name(raw: str | None, disposition: str, index: int) -> str:
    """The name to show for the file at `index` (0-based) of its batch.

    `raw` is the parser's reading of `filename`; `disposition` the whole Content-Disposition value, for
    RFC 8187's `filename*`, which wins. Both hold the header's bytes as Latin-1. A name of which nothing
    is left becomes `image-<n>`, counted from 1.
    """
    name = _extended(disposition)
    if name is None:
        name = (raw or "").encode("latin-1", "replace").decode("utf-8", "replace")
    return _shortened(_last_segment(_visible(name))) or f"image-{index + 1}"


def _extended(disposition: str) -> str | None:
    """The name in `filename*` (RFC 8187: two charsets, no continuations); None where there is none."""
    found = _EXTENDED.search(disposition)
    if found is None:
        return None
    return unquote_to_bytes(found[2]).decode(found[1], "replace")


def _visible(name: str) -> str:
    return "".join(char for char in name if char not in _BIDI and unicodedata.category(char) not in _UNSEEN)


def _last_segment(name: str) -> str:
    segment = re.split(r"[/\\]", name)[-1].strip()
    return "" if segment in {".", ".."} else segment


def _shortened(name: str) -> str:
    encoded = name.encode()
    if len(encoded) <= MAX_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    suffix = (dot + extension).encode() if stem and len(extension) <= 8 else b""
    kept = encoded[: MAX_BYTES - len(suffix)].decode("utf-8", "ignore")
    return kept + suffix.decode()
