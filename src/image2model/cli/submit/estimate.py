"""The result of `quote`: what `submit` would do with each picture, in words or as JSON."""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import click
import msgspec

from image2model.cli.advice import advice
from image2model.cli.output import print_json
from image2model.cli.submit.board import skipped_lines
from image2model.cli.submit.item import Item, printable, text_of, things
from image2model.cli.text import counted
from image2model.client.documents import Warned

_UNKNOWN: Final = "price not known in advance"


class Fate(StrEnum):
    """What `submit` would do with a picture."""

    BUY = "buy"
    CACHED = "cached"
    SAVED = "saved"
    SENT = "sent"
    REFUSED = "refused"


class Entry(msgspec.Struct, frozen=True):
    """One picture. `cost_usd` is None where only the run shows it. The item has a refusal's reason."""

    item: Item
    fate: Fate
    cost_usd: float | None = 0.0
    warnings: Sequence[Warned] = ()


class Estimate(msgspec.Struct, frozen=True):
    """The quote for all pictures. `model` is empty where no picture had to be uploaded."""

    entries: Sequence[Entry]
    skipped: Sequence[Path]
    model: str
    price_note: str
    warnings: Sequence[Warned] = ()

    def of(self, fate: Fate) -> list[Entry]:
        """The entries of one fate."""
        return [entry for entry in self.entries if entry.fate is fate]

    @property
    def total_usd(self) -> float | None:
        """The sum; None where the price of any picture is unknown."""
        costs = [entry.cost_usd for entry in self.of(Fate.BUY)]
        known = [cost for cost in costs if cost is not None]
        return round(sum(known), 6) if len(known) == len(costs) else None


def report(estimate: Estimate, *, as_json: bool) -> int:
    """Print it and return the exit code: 1 if a picture would be refused."""
    if as_json:
        print_json(_document(estimate))
    else:
        for line in skipped_lines(estimate.skipped):
            click.echo(line)
        _print(estimate)
    return 1 if estimate.of(Fate.REFUSED) else 0


_NOT_BOUGHT: Final = {
    Fate.CACHED: "free: the service already has their models",
    Fate.SAVED: "already saved",
    Fate.SENT: "already sent, and not bought again",
}


def _print(estimate: Estimate) -> None:
    if not estimate.entries:
        click.echo("No pictures were found.")
        return
    click.echo(_heading(estimate))
    for line in _prices(estimate):
        click.echo(line)
    for fate, text in _NOT_BOUGHT.items():
        if count := len(estimate.of(fate)):
            click.echo(f"{count} {text}")
    _print_refused(estimate.of(Fate.REFUSED))
    _print_warnings(estimate)
    note = f" ({estimate.price_note})" if estimate.price_note and estimate.of(Fate.BUY) else ""
    click.echo(f"Total: {_usd(estimate.total_usd)}{note}")


def _heading(estimate: Estimate) -> str:
    files = sum(len(stems) for stems in {e.item.sha256: e.item.stems for e in estimate.entries}.values())
    models = len(estimate.entries)
    pictures = len({entry.item.sha256 for entry in estimate.entries})
    thing = things([entry.item for entry in estimate.entries])
    heading = counted(pictures, thing) + (f" in {files} files" if files > pictures else "")
    heading += f", {models} models of them" if models > pictures else ""
    return heading + (f", models by {estimate.model}" if estimate.model else "")


def _prices(estimate: Estimate) -> list[str]:
    prices = Counter(entry.cost_usd for entry in estimate.of(Fate.BUY))
    return [
        f"{count} would be bought: {_UNKNOWN}"
        if price is None
        else f"{count} would be bought at {_usd(price)} each: {_usd(price * count)}"
        for price, count in prices.items()
    ]


def _print_refused(refused: list[Entry]) -> None:
    if not refused:
        return
    click.echo(f"{len(refused)} would be refused:")
    for entry in refused:
        click.echo(f"  {printable(entry.item.given)}  {entry.item.code}: {entry.item.reason}")
    for code in dict.fromkeys(entry.item.code for entry in refused):
        if action := advice(code):
            click.echo(f"  {code}: {action}")


def _print_warnings(estimate: Estimate) -> None:
    for warning in estimate.warnings:
        click.echo(f"Warning: {warning.code}: {warning.message}")
    warned = [(entry.item, warning) for entry in estimate.entries for warning in entry.warnings]
    if warned:
        click.echo("Will hardly become good models; they can be sent all the same:")
    for item, warning in warned:
        about = f"{warning.file}: " if item.views and warning.file else ""
        click.echo(f"  {printable(item.given)}  {warning.code}: {printable(about)}{warning.message}")


def _usd(amount: float | None) -> str:
    """The exact amount: rounded for one picture, it would be wrong for hundreds."""
    if amount is None:
        return _UNKNOWN
    whole, _, rest = f"{amount:.6f}".rstrip("0").partition(".")
    return f"{whole}.{rest:0<2} USD"


def _document(estimate: Estimate) -> dict[str, object]:
    return {
        "pictures": len(estimate.entries),
        "model": estimate.model or None,
        **{fate.value: len(estimate.of(fate)) for fate in Fate},
        "total_cost_usd": estimate.total_usd,
        "price_note": estimate.price_note,
        "warnings": estimate.warnings,
        "images": [_image(entry) for entry in estimate.entries],
        "left_out": [text_of(path) for path in estimate.skipped],
    }


def _image(entry: Entry) -> dict[str, object]:
    item = entry.item
    return {
        "path": text_of(item.path),
        "sha256": item.sha256,
        "fate": entry.fate,
        "variant": item.variant or None,
        "model": item.options.model or None,
        "cost_usd": entry.cost_usd,
        "warnings": entry.warnings,
        "error": {"code": item.code, "message": item.reason} if item.code else None,
    }
