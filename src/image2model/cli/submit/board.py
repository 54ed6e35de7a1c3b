"""What a run shows while it goes on. Each board is told the same facts and invents none.

Who calls it: the flow tells it, `submit` chooses one: lines of JSON, plain lines, or a live table.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from image2model.cli.submit.item import Item
from image2model.client.documents import Image


class Board(Protocol):
    """Told of facts as they come in."""

    def begin(self, items: list[Item]) -> None:
        """The run begins; some items may be there already."""

    def left_out(self, paths: Sequence[Path]) -> None:
        """These files of folders are no pictures."""

    def changed(self, item: Item, image: Image) -> None:
        """The service says so of an image."""

    def waiting(self, job_id: str, reason: str | None) -> None:
        """Why nothing of a job moves, or that it moves again."""

    def connected(self, yes: bool) -> None:
        """An event stream was lost, or found again."""

    def ended(self, item: Item) -> None:
        """The item's outcome is final."""

    def note(self, text: str) -> None:
        """A sentence for the person."""

    def close(self) -> None:
        """Nothing more comes."""
