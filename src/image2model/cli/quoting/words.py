"""A quote in words, or as one document for scripts.

Who calls it: the command.
"""

from collections import Counter
from typing import Final

import click

from image2model.cli.advice import advice
from image2model.cli.connection import print_json
from image2model.cli.quoting.estimate import Entry, Estimate, Fate
from image2model.cli.submit.board_lines import left_out
from image2model.cli.submit.names import legible, text_of

_UNKNOWN: Final = "price not known in advance"
_NOT_BOUGHT: Final = {
    Fate.CACHED: "free: the service has their models already",
    Fate.SAVED: "saved already",
    Fate.SENT: "sent already, and not bought again",
}


def report(estimate: Estimate, *, as_json: bool) -> int:
    """Print it and return the exit code: 1 if a picture would be refused."""
    if as_json:
        print_json(_document(estimate))
    else:
        for line in left_out(estimate.left_out):
            click.echo(line)
        _print(estimate)
    return 1 if estimate.of(Fate.REFUSED) else 0


def _print(estimate: Estimate) -> None:
    if not estimate.entries:
        click.echo("No pictures were found.")
        return
    click.echo(_heading(estimate))
    for line in _prices(estimate):
        click.echo(line)
    for fate, words in _NOT_BOUGHT.items():
        if count := len(estimate.of(fate)):
            click.echo(f"{count} {words}")
    _print_refused(estimate.of(Fate.REFUSED))
    note = f" ({estimate.price_note})" if estimate.price_note and estimate.of(Fate.BUY) else ""
    click.echo(f"Total: {_usd(estimate.total_usd)}{note}")


def _heading(estimate: Estimate) -> str:
    files = sum(len(entry.item.stems) for entry in estimate.entries)
    pictures = len(estimate.entries)
    words = f"{pictures} pictures" + (f" in {files} files" if files > pictures else "")
    return words + (f", models by {estimate.model}" if estimate.model else "")


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
        click.echo(f"  {legible(entry.item.given)}  {entry.item.code}: {entry.item.reason}")
    for code in dict.fromkeys(entry.item.code for entry in refused):
        if todo := advice(code):
            click.echo(f"  {code}: {todo}")


def _usd(amount: float | None) -> str:
    """Exact: what is rounded for one picture is wrong for hundreds."""
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
        "images": [_image(entry) for entry in estimate.entries],
        "left_out": [text_of(path) for path in estimate.left_out],
    }


def _image(entry: Entry) -> dict[str, object]:
    item = entry.item
    return {
        "path": text_of(item.path),
        "sha256": item.sha256,
        "fate": entry.fate,
        "cost_usd": entry.cost_usd,
        "error": {"code": item.code, "message": item.reason} if item.code else None,
    }
