"""What a run shows while it goes on. Each board is told the same facts and invents none.

Who calls it: the flow tells it, `submit` chooses one: lines of JSON, plain lines, or a live table.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import click
import msgspec

from image2model.cli.advice import waiting_words
from image2model.cli.submit.item import Item, Outcome, legible, text_of
from image2model.cli.text import counted, dollars, seconds, span
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


_MOST_NAMED: Final = 5


class JsonBoard:
    """One JSON object to a line on standard output; its `type` tells which."""

    def begin(self, items: list[Item]) -> None:
        """`begin`."""
        kept = sum(item.outcome is Outcome.KEPT for item in items)
        self._say({"type": "begin", "pictures": len(items), "kept": kept})

    def left_out(self, paths: Sequence[Path]) -> None:
        """A `note` on each."""
        for path in paths:
            self.note(_no_picture(path))

    def changed(self, item: Item, image: Image) -> None:
        """`image`: as the service's document, with the file's path."""
        self._say({"type": "image", "path": text_of(item.path), "job_id": item.job_id, "image": image})

    def waiting(self, job_id: str, reason: str | None) -> None:
        """`waiting`."""
        self._say({"type": "waiting", "job_id": job_id, "waiting_for": reason})

    def connected(self, yes: bool) -> None:
        """`connection`."""
        self._say({"type": "connection", "connected": yes})

    def ended(self, item: Item) -> None:
        """`outcome`: the last word on one picture."""
        self._say(
            {
                "type": "outcome",
                "path": text_of(item.path),
                "outcome": item.outcome,
                "files": item.files,
                "job_id": item.job_id,
                "image_id": item.image.image_id if item.image else None,
                "cost_usd": item.cost_usd,
                "error": {"code": item.code, "message": item.reason} if item.code else None,
            }
        )

    def note(self, text: str) -> None:
        """`note`."""
        self._say({"type": "note", "text": text})

    def close(self) -> None:
        """Nothing to clear away."""

    def _say(self, fact: dict[str, object]) -> None:
        click.echo(msgspec.json.encode(fact).decode())


class PlainBoard:
    """Words on standard output, a line to each picture that ends."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def begin(self, items: list[Item]) -> None:
        """How many there are."""
        kept = sum(item.outcome is Outcome.KEPT for item in items)
        click.echo(f"{counted(len(items), 'picture')}, {kept} done before")

    def left_out(self, paths: Sequence[Path]) -> None:
        """The first, and how many more."""
        for text in left_out(paths):
            self.note(text)

    def changed(self, item: Item, image: Image) -> None:
        """Not shown: only ends are."""

    def waiting(self, job_id: str, reason: str | None) -> None:
        """Shown when it begins for a job, or the reason is another one; not after each try between."""
        if reason and self._told.get(job_id) != reason:
            self._told[job_id] = reason
            click.echo(f"job {job_id}  {waiting_words(reason)}")

    def connected(self, yes: bool) -> None:
        """Shown on loss only; it is found again by itself."""
        if not yes:
            click.echo("connection lost; trying again", err=True)

    def ended(self, item: Item) -> None:
        """Its name and outcome."""
        click.echo(ending(item))

    def note(self, text: str) -> None:
        """As it is."""
        click.echo(text)

    def close(self) -> None:
        """Nothing to clear away."""


def left_out(paths: Sequence[Path]) -> list[str]:
    """A line on each of the first files that are no pictures, and one on the rest."""
    rest = len(paths) - _MOST_NAMED
    lines = [_no_picture(path) for path in paths[:_MOST_NAMED]]
    return [*lines, f"left out {rest} more of the kind"] if rest > 0 else lines


def _no_picture(path: Path) -> str:
    return f"left out {legible(path)}: no PNG, JPEG or WebP picture"


def ending(item: Item) -> str:
    """One line on an item's end."""
    if item.outcome is Outcome.FAILED:
        return f"failed  {legible(item.given)}  {item.code}: {item.reason}"
    return "  ".join([item.outcome, ", ".join(map(legible, item.files)), *_facts(item.image)])


def _facts(image: Image | None) -> list[str]:
    if image is None or image.result is None:
        return []
    took = span(image.started_at, image.finished_at)
    facts = [counted(image.result.mesh.triangles, "triangle")] if image.result.mesh else []
    facts += [seconds(took)] if took is not None and not image.cached else []
    cost = "reused" if image.cached else dollars(image.cost_usd)
    facts.append(f"{cost} (estimated)" if image.cost_uncertain else cost)
    warned = len(image.result.warnings)
    return [*facts, counted(warned, "warning")] if warned else facts
