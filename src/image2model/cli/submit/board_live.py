"""The board of a terminal: the whole run, a bar to each batch, and a table of the pictures that move.

Who calls it: `submit` and `watch`. All of it comes from the event streams; a bar is the share of pictures
that have ended, and nothing is guessed in between.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from image2model.cli.submit.board_lines import ending, left_out
from image2model.cli.submit.board_tables import batch_table, picture_table, run_line
from image2model.cli.submit.item import Item, Outcome
from image2model.cli.submit.pace import Pace, clock
from image2model.cli.submit.tally import by_job, has_failed, tally
from image2model.cli.waits import waiting_words
from image2model.client.documents import Image

_FRAMES: Final = 4  # a second
_LOG_LINES: Final = 8  # of the screen, left to what scrolls above


class LiveBoard:
    """Draws four times a second; what has ended scrolls away above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._items: list[Item] = []
        self._since: dict[str, tuple[str, float]] = {}
        self._waiting: dict[str, str] = {}
        self._lost: list[float] = []
        self._began = time.monotonic()
        self._pace = Pace()
        self._live = Live(self, console=console, refresh_per_second=_FRAMES)

    def begin(self, items: list[Item]) -> None:
        """Start drawing."""
        self._items = [*self._items, *items]
        if kept := sum(item.outcome is Outcome.KEPT for item in items):
            self.note(f"{kept} of {len(items)} done before")
        self._live.start()

    def left_out(self, paths: Sequence[Path]) -> None:
        """Lines above the bars."""
        for text in left_out(paths):
            self.note(text)

    def changed(self, item: Item, image: Image) -> None:
        """Drawn next time: the item holds the image."""
        known = self._since.get(item.sha256)
        if known is None or known[0] != image.status:
            self._since[item.sha256] = (image.status, time.monotonic())

    def waiting(self, job_id: str, reason: str | None) -> None:
        """Shown for as long as it lasts."""
        self._waiting.pop(job_id, None)
        if reason:
            self._waiting[job_id] = reason

    def connected(self, yes: bool) -> None:
        """Shown for as long as it lasts."""
        if not yes:
            self._lost.append(time.monotonic())
        elif self._lost:
            self._lost.pop()

    def ended(self, item: Item) -> None:
        """One line above the bars."""
        self._pace.ended()
        style = "red" if item.outcome is Outcome.FAILED else "green"
        word, _, rest = ending(item).partition(" ")
        line = Text.assemble((word, style), " ", rest)
        line.no_wrap, line.overflow = item.outcome is not Outcome.FAILED, "ellipsis"
        self._console.print(line)

    def note(self, text: str) -> None:
        """One line above the bars."""
        self._console.print(Text(text, style="dim"))

    def close(self) -> None:
        """Stop drawing, and leave nothing of the bars."""
        self._live.transient = True
        self._live.stop()

    def __rich__(self) -> Group:
        """The screen as it is now: rich asks for it at each frame, and at each line above the bars."""
        whole = tally(self._items)
        cost = sum(item.bought_usd for item in self._items)
        spent = time.monotonic() - self._began
        line = run_line(whole, cost, clock(spent), self._pace.words(whole.total - whole.ended))
        batches = [(job_id, tally(items)) for job_id, items in by_job(self._items).items()]
        room = max(4, self._console.height - _LOG_LINES - 7)
        shown = max(2, min(len(batches), room // 2))
        parts: list[RenderableType] = [Text(), line, *self._remarks()]
        parts.append(batch_table(batches, self._unsent(), shown))
        parts.append(Text())
        parts.append(picture_table(self._moving(), self._since, room - shown))
        return Group(*parts)

    def _moving(self) -> list[Item]:
        return [item for item in self._items if item.outcome is Outcome.PENDING and not has_failed(item)]

    def _unsent(self) -> int:
        return sum(item.job_id is None and item.outcome is Outcome.PENDING for item in self._items)

    def _remarks(self) -> list[Text]:
        remarks = [waiting_words(reason) for reason in sorted({*self._waiting.values()})]
        if self._lost:
            spent = clock(time.monotonic() - min(self._lost))
            remarks.append(f"No answer from the service for {spent}; trying again. The jobs are safe there.")
        return [Text(remark, style="yellow") for remark in remarks]
