"""What the live board draws: the line of the run, the batches' bars, the table of pictures.

Who calls it: `board_live`. Pure but for the clock that tells how long a picture has had its status.
"""

import time
from collections.abc import Mapping, Sequence

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from image2model.cli.numbers import dollars, seconds
from image2model.cli.submit.item import Item
from image2model.cli.submit.tally import MOVING, Tally
from image2model.client.documents import Image


def run_line(whole: Tally, cost: float, spent: str, pace: str) -> Table:
    """The whole run on one line."""
    line = Table.grid(padding=(0, 2))
    counts = Text(f"{whole.ended}/{whole.total} pictures", style="bold")
    facts = [counts, Text(dollars(cost)), Text(spent)]
    if whole.failed:
        facts.insert(1, Text(f"{whole.failed} failed", style="red"))
    bar = ProgressBar(total=max(1, whole.total), completed=whole.ended, width=28)
    line.add_row(bar, *facts, Text(pace, style="dim"))
    return line


def batch_table(batches: Sequence[tuple[str, Tally]], unsent: int, most: int) -> Table:
    """A bar to each batch: those that move first, and a line on those that have no room."""
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
            Text(one.words, style="cyan", no_wrap=True, overflow="ellipsis"),
        )
    for words in _besides(len(numbered) - len(moving), len(moving) - most, unsent):
        table.add_row("", "", "", "", Text(words, style="dim"))
    return table


def _besides(done: int, hidden: int, unsent: int) -> list[str]:
    words = [f"batches done: {done}"] if done > 0 else []
    words += [f"more at work: {hidden}"] if hidden > 0 else []
    words += [f"pictures to be uploaded: {unsent}"] if unsent else []
    return [", ".join(words)] if words else []


def picture_table(moving: Sequence[Item], since: Mapping[str, tuple[str, float]], most: int) -> Table:
    """The pictures that are furthest, each with its status and how long it has had it."""
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    for title in ("picture", "status", "for"):
        table.add_column(title, no_wrap=True, overflow="ellipsis")
    now = time.monotonic()
    rows = [(item, item.image) for item in moving if item.image and item.image.status in MOVING[:-1]]
    rows.sort(key=lambda row: (MOVING.index(row[1].status), since.get(row[0].sha256, ("", now))[1]))
    for item, image in rows[: max(0, most)]:
        spent = seconds(now - since.get(item.sha256, ("", now))[1])
        table.add_row(Text(item.stems[0]), Text(_words(image), style="cyan"), Text(spent, style="dim"))
    return table if table.row_count else Table.grid()


def _words(image: Image) -> str:
    if image.queue_position is not None:
        return f"{image.status}, place {image.queue_position} in FAL's queue"
    return image.status
