"""Shows a run as a live table: a line for the run, a bar for each batch, and the pictures that are being
made.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from image2model.cli.advice import waiting_message
from image2model.cli.submit.board import end_line, skipped_lines
from image2model.cli.submit.item import Item, Outcome, things
from image2model.cli.submit.progress import MOVING, Pace, Tally, by_job, clock, has_failed, tally
from image2model.cli.text import dollars, seconds
from image2model.client.documents import Image

Key = tuple[str, str, int]  # of an item
_FRAMES: Final = 4  # a second
_LOG_LINES: Final = 8  # of the screen, left for the lines that scroll above


class LiveBoard:
    """Draws four times a second; lines about ended pictures scroll away above the table."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._items: list[Item] = []
        self._since: dict[Key, tuple[str, float]] = {}
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

    def skipped(self, paths: Sequence[Path]) -> None:
        """Lines above the bars."""
        for text in skipped_lines(paths):
            self.note(text)

    def changed(self, item: Item, image: Image) -> None:
        """Shown in the next frame, from the item."""
        known = self._since.get(item.key)
        if known is None or known[0] != image.status:
            self._since[item.key] = (image.status, time.monotonic())

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
        word, _, rest = end_line(item).partition(" ")
        line = Text.assemble((word, style), " ", rest)
        line.no_wrap, line.overflow = item.outcome is not Outcome.FAILED, "ellipsis"
        self._console.print(line)

    def note(self, text: str) -> None:
        """One line above the bars."""
        self._console.print(Text(text, style="dim"))

    def close(self) -> None:
        """Stop drawing, and remove the table."""
        self._live.transient = True
        self._live.stop()

    def __rich__(self) -> Group:
        """The table as it is now: rich calls this for each frame, and for each line above it."""
        whole = tally(self._items)
        cost = sum(item.bought_usd for item in self._items)
        spent = time.monotonic() - self._began
        line = run_line(
            whole, cost, clock(spent), self._pace.text(whole.total - whole.ended), things(self._items)
        )
        batches = [(job_id, tally(items)) for job_id, items in by_job(self._items).items()]
        rows = max(4, self._console.height - _LOG_LINES - 7)
        shown = max(2, min(len(batches), rows // 2))
        parts: list[RenderableType] = [Text(), line, *self._remarks()]
        parts.append(batch_table(batches, self._unsent(), shown))
        parts.append(Text())
        parts.append(picture_table(self._moving(), self._since, rows - shown))
        return Group(*parts)

    def _moving(self) -> list[Item]:
        return [item for item in self._items if item.outcome is Outcome.PENDING and not has_failed(item)]

    def _unsent(self) -> int:
        return sum(item.job_id is None and item.outcome is Outcome.PENDING for item in self._items)

    def _remarks(self) -> list[Text]:
        remarks = [waiting_message(reason) for reason in sorted({*self._waiting.values()})]
        if self._lost:
            spent = clock(time.monotonic() - min(self._lost))
            remarks.append(
                f"No answer from the service for {spent}; trying again. The jobs are safe at the service."
            )
        return [Text(remark, style="yellow") for remark in remarks]


def run_line(whole: Tally, cost: float, spent: str, pace: str, thing: str = "picture") -> Table:
    """The whole run on one line."""
    line = Table.grid(padding=(0, 2))
    counts = Text(f"{whole.ended}/{whole.total} {thing}s", style="bold")
    facts = [counts, Text(dollars(cost)), Text(spent)]
    if whole.failed:
        facts.insert(1, Text(f"{whole.failed} failed", style="red"))
    bar = ProgressBar(total=max(1, whole.total), completed=whole.ended, width=28)
    line.add_row(bar, *facts, Text(pace, style="dim"))
    return line


def batch_table(batches: Sequence[tuple[str, Tally]], unsent: int, most: int) -> Table:
    """A bar for each unfinished batch, and a line about those that do not fit."""
    table = Table.grid(padding=(0, 2))
    for _ in range(3):
        table.add_column()
    table.add_column(justify="right")
    table.add_column()
    numbered = list(enumerate(batches, 1))
    moving = [one for one in numbered if one[1][1].ended < one[1][1].total]
    for number, (job_id, one) in moving[:most]:
        table.add_row(
            Text(f"batch {number}", style="dim"),
            Text(job_id[:8], style="dim"),
            ProgressBar(total=max(1, one.total), completed=one.ended, width=12),
            f"{one.ended}/{one.total}",
            Text(one.summary, style="cyan", no_wrap=True, overflow="ellipsis"),
        )
    for text in _other_batches(len(numbered) - len(moving), len(moving) - most, unsent):
        table.add_row("", "", "", "", Text(text, style="dim"))
    return table


def _other_batches(done: int, hidden: int, unsent: int) -> list[str]:
    parts = [f"batches done: {done}"] if done > 0 else []
    parts += [f"more running: {hidden}"] if hidden > 0 else []
    parts += [f"pictures to upload: {unsent}"] if unsent else []
    return [", ".join(parts)] if parts else []


def picture_table(moving: Sequence[Item], since: Mapping[Key, tuple[str, float]], most: int) -> Table:
    """The most advanced pictures, each with its status and for how long it has had it."""
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    for title in ("picture", "status", "for"):
        table.add_column(title, no_wrap=True, overflow="ellipsis")
    now = time.monotonic()
    rows = [(item, item.image) for item in moving if item.image and item.image.status in MOVING[:-1]]
    rows.sort(key=lambda row: (MOVING.index(row[1].status), since.get(row[0].key, ("", now))[1]))
    for item, image in rows[: max(0, most)]:
        spent = seconds(now - since.get(item.key, ("", now))[1])
        table.add_row(Text(item.stems[0]), Text(_status(image), style="cyan"), Text(spent, style="dim"))
    return table if table.row_count else Table.grid()


def _status(image: Image) -> str:
    if image.queue_position is not None:
        return f"{image.status}, place {image.queue_position} in FAL's queue"
    return image.status
