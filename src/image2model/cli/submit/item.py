"""One picture of a run, however many names it has, and what became of it.

Who calls it: the plan makes them, the flow carries them through, the board shows them.
"""

from enum import StrEnum
from pathlib import Path

import msgspec

from image2model.cli.submit.names import sent_name
from image2model.client.documents import Image
from image2model.client.picture import Picture


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
