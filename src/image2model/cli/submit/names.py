"""File names as text: a file system holds bytes, of which not all are UTF-8 and some command a terminal.

Who calls it: `submit` and `watch`, wherever a name leaves the file system: for the ledger, for the service,
for the screen.
"""

import os
import unicodedata
from pathlib import Path
from typing import Final

_MOST_SENT: Final = 200
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_UNSEEN: Final = frozenset({"Cc", "Zl", "Zp"})
_UNKNOWN: Final = "\ufffd"


def text_of(path: str | Path) -> str:
    """The path with what is not UTF-8 replaced: SQLite, JSON and multipart take nothing else."""
    return os.fsencode(path).decode(errors="replace")


def legible(path: str | Path) -> str:
    """`text_of`, on one line and without anything that a terminal would obey."""
    return "".join(_UNKNOWN if _is_unseen(char) else char for char in text_of(path))


def sent_name(path: Path) -> str:
    """The name to upload: one that the service shows as it is, so that its answer is told by it."""
    seen = "".join(char for char in text_of(path.name) if not _is_unseen(char)).replace("\\", "_").strip()
    suffix = Path(seen).suffix if len(Path(seen).suffix.encode()) <= 8 else ""
    stem = seen.removesuffix(suffix).encode()[: _MOST_SENT - len(suffix.encode())].decode(errors="ignore")
    return (stem + suffix).strip() or "picture"


def _is_unseen(char: str) -> bool:
    return char in _BIDI or unicodedata.category(char) in _UNSEEN
