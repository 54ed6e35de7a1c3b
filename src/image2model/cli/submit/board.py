"""Shows a run while it goes on, as JSON lines or as plain lines. A board gets facts and invents none."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import click
import msgspec

from image2model.cli.advice import waiting_message
from image2model.cli.submit.item import Item, Outcome, printable, text_of, things
from image2model.cli.text import counted, dollars, seconds, span
from image2model.client.documents import Image
from image2model.media.heads import WORDS

_MAX_LISTED: Final = 5


class Board(Protocol):
    """Receives the facts of a run as they come in."""

    def begin(self, items: list[Item]) -> None:
        """The run begins; some items may be done already."""

    def skipped(self, paths: Sequence[Path]) -> None:
        """These files in folders are not pictures."""

    def changed(self, item: Item, image: Image) -> None:
        """The service reports a change of an image."""

    def waiting(self, job_id: str, reason: str | None) -> None:
        """Why a job waits; None: it moves again."""

    def connected(self, yes: bool) -> None:
        """An event stream was lost, or is connected again."""

    def ended(self, item: Item) -> None:
        """The item's outcome is final."""

    def note(self, text: str) -> None:
        """A sentence for the person."""

    def close(self) -> None:
        """The run has ended."""


class JsonBoard:
    """One JSON object to a line on standard output; its `type` gives the kind."""

    def begin(self, items: list[Item]) -> None:
        """`begin`."""
        kept = sum(item.outcome is Outcome.KEPT for item in items)
        self._print({"type": "begin", "pictures": len(items), "kept": kept})

    def skipped(self, paths: Sequence[Path]) -> None:
        """A `note` for each."""
        for path in paths:
            self.note(_skipped_line(path))

    def changed(self, item: Item, image: Image) -> None:
        """`image`: as the service's document, with the file's path."""
        self._print({"type": "image", "path": text_of(item.path), "job_id": item.job_id, "image": image})

    def waiting(self, job_id: str, reason: str | None) -> None:
        """`waiting`."""
        self._print({"type": "waiting", "job_id": job_id, "waiting_for": reason})

    def connected(self, yes: bool) -> None:
        """`connection`."""
        self._print({"type": "connection", "connected": yes})

    def ended(self, item: Item) -> None:
        """`outcome`: the end of one picture."""
        self._print(
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
        self._print({"type": "note", "text": text})

    def close(self) -> None:
        """Nothing to do."""

    def _print(self, fact: dict[str, object]) -> None:
        click.echo(msgspec.json.encode(fact).decode())


class PlainBoard:
    """Plain text on standard output, a line for each picture that ends."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def begin(self, items: list[Item]) -> None:
        """How many there are."""
        kept = sum(item.outcome is Outcome.KEPT for item in items)
        click.echo(f"{counted(len(items), things(items))}, {kept} done before")

    def skipped(self, paths: Sequence[Path]) -> None:
        """A line on each of the first, and the number of the rest."""
        for text in skipped_lines(paths):
            self.note(text)

    def changed(self, item: Item, image: Image) -> None:
        """Not shown: only the end of a picture is."""

    def waiting(self, job_id: str, reason: str | None) -> None:
        """Shown once for each new reason of a job, not after each try in between."""
        if reason and self._reasons.get(job_id) != reason:
            self._reasons[job_id] = reason
            click.echo(f"job {job_id}  {waiting_message(reason)}")

    def connected(self, yes: bool) -> None:
        """Only a loss is shown: the client reconnects by itself."""
        if not yes:
            click.echo("connection lost; trying again", err=True)

    def ended(self, item: Item) -> None:
        """A line with its outcome."""
        click.echo(end_line(item))

    def note(self, text: str) -> None:
        """The text, unchanged."""
        click.echo(text)

    def close(self) -> None:
        """Nothing to do."""


def skipped_lines(paths: Sequence[Path]) -> list[str]:
    """A line for each of the first skipped files, and one for the rest."""
    rest = len(paths) - _MAX_LISTED
    lines = [_skipped_line(path) for path in paths[:_MAX_LISTED]]
    return [*lines, f"skipped {rest} more such files"] if rest > 0 else lines


def _skipped_line(path: Path) -> str:
    return f"skipped {printable(path)}: not a {WORDS} picture"


def end_line(item: Item) -> str:
    """The line about an item's end."""
    if item.outcome is Outcome.FAILED:
        return f"failed  {printable(item.given)}  {item.code}: {item.reason}"
    return "  ".join([item.outcome, ", ".join(map(printable, item.files)), *_facts(item.image)])


def _facts(image: Image | None) -> list[str]:
    if image is None or image.result is None:
        return []
    took = span(image.started_at, image.finished_at)
    facts = [counted(image.result.mesh.triangles, "triangle")] if image.result.mesh else []
    facts += [seconds(took)] if took is not None and not image.cached else []
    cost = "reused" if image.cached else dollars(image.cost_usd)
    facts.append(f"{cost} (estimated)" if image.cost_uncertain else cost)
    warned = len(image.all_warnings)
    return [*facts, counted(warned, "warning")] if warned else facts
