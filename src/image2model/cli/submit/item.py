"""File names as text: a file system holds bytes, of which not all are UTF-8 and some command a terminal.

Who calls it: `submit` and `watch`, wherever a name leaves the file system: for the ledger, for the service,
for the screen.
"""

import os
import unicodedata
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from image2model.client.documents import Image
from image2model.client.multipart import Picture

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


class Outcome(StrEnum):
    """Where an item ended."""

    PENDING = "pending"
    SAVED = "saved"
    KEPT = "kept"
    FAILED = "failed"


class Item(msgspec.Struct, eq=False):
    """`stems`: where its model goes, once for each file with this content. `cost_usd` in dollars.

    `own`: this run sends it, or runs it again after `before_usd` were spent; else an earlier run sent it.
    `given`: its path as the person wrote it, for words; `path` is absolute.
    """

    sha256: str
    path: Path
    given: Path
    size: int
    stems: list[str]
    outcome: Outcome = Outcome.PENDING
    files: list[str] = []
    code: str = ""
    reason: str = ""
    cost_usd: float = 0.0
    own: bool = True
    before_usd: float = 0.0
    image: Image | None = None
    job_id: str | None = None

    @property
    def name(self) -> str:
        """By which the service knows it."""
        return sent_name(self.path)

    @property
    def picture(self) -> Picture:
        """What is uploaded."""
        return Picture(name=self.name, size=self.size, path=self.path)

    @property
    def bought_usd(self) -> float:
        """What this run has bought of its cost."""
        return max(0.0, self.cost_usd - self.before_usd) if self.own else 0.0

    def begin(self, *, own: bool) -> None:
        """Its batch has its turn."""
        self.own, self.cost_usd, self.before_usd = own, 0.0, 0.0

    def run_again(self, spent: float | None) -> None:
        """This run pays for another attempt; `spent` is what earlier ones have cost."""
        self.own, self.before_usd = True, spent or 0.0

    def fail(self, code: str, reason: str) -> None:
        """It has failed, and why."""
        self.outcome, self.code, self.reason = Outcome.FAILED, code, reason
