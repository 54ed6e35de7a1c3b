"""The board of a terminal: a bar, the counts by status, and the pictures that move just now.

Who calls it: `submit`. All of it comes from the event streams; the bar is the share of pictures that have
ended, and nothing is guessed in between.
"""

import time
from collections import Counter
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from image2model.cli.submit.board_lines import ending
from image2model.cli.submit.item import Item, Outcome
from image2model.client.documents import Image

_ROWS: Final = 10
_ORDER: Final = ("storing", "generating", "submitted", "preparing", "queued")


class LiveBoard:
    """Draws four times a second; what has ended scrolls away above it."""

    def __init__(self, console: Console) -> None:
        self._items: list[Item] = []
        self._waiting: dict[str, str] = {}
        self._lost = 0
        self._began = time.monotonic()
        # last: it draws at once
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._draw)

    def begin(self, items: list[Item]) -> None:
        """Start drawing."""
        self._items = [*self._items, *items]
        self._live.start()

    def changed(self, item: Item, image: Image) -> None:
        """Drawn next time: the item holds the image."""

    def waiting(self, job_id: str, reason: str | None) -> None:
        """Shown below the bar for as long as it lasts."""
        self._waiting.pop(job_id, None)
        if reason:
            self._waiting[job_id] = reason

    def connected(self, yes: bool) -> None:
        """Shown below the bar for as long as it lasts."""
        self._lost = max(0, self._lost + (-1 if yes else 1))

    def ended(self, item: Item) -> None:
        """One line above the bar."""
        style = "red" if item.outcome is Outcome.FAILED else "green"
        self._live.console.print(Text(ending(item), style=style))

    def note(self, text: str) -> None:
        """One line above the bar."""
        self._live.console.print(Text(text, style="dim"))

    def close(self) -> None:
        """Stop drawing, and leave nothing of the bar."""
        self._live.transient = True
        self._live.stop()

    def _draw(self) -> Group:
        return Group(self._bar(), *self._remarks(), self._moving())

    def _bar(self) -> Table:
        done = sum(item.outcome is not Outcome.PENDING for item in self._items)
        line = Table.grid(padding=(0, 1))
        line.add_row(
            ProgressBar(total=max(1, len(self._items)), completed=done, width=32),
            f"{done}/{len(self._items)}",
            Text(self._counts(), style="cyan"),
            Text(f"{time.monotonic() - self._began:.0f} s", style="dim"),
        )
        return line

    def _counts(self) -> str:
        statuses = Counter(item.image.status for item in self._pending() if item.image)
        return "  ".join(f"{status} {statuses[status]}" for status in _ORDER if statuses[status])

    def _remarks(self) -> list[Text]:
        remarks = [f"waiting for: {reason}" for reason in sorted(set(self._waiting.values()))]
        if self._lost:
            remarks.append("connection lost; trying again")
        return [Text(remark, style="yellow") for remark in remarks]

    def _moving(self) -> Table:
        table = Table.grid(padding=(0, 2))
        moving = [item for item in self._pending() if item.image and item.image.status in _ORDER[:-1]]
        moving.sort(key=lambda item: _ORDER.index(item.image.status) if item.image else 0)
        for item in moving[:_ROWS]:
            table.add_row(item.stems[0], _words(item.image) if item.image else "")
        return table

    def _pending(self) -> list[Item]:
        return [item for item in self._items if item.outcome is Outcome.PENDING]


def _words(image: Image) -> str:
    if image.queue_position is not None:
        return f"{image.status}, place {image.queue_position} in FAL's queue"
    return image.status
