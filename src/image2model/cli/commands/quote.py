"""`image2model quote`: what a `submit` would do with each picture, and what it would cost.

It buys nothing, and changes neither the ledger nor the output folder.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from image2model.cli.advice import advice
from image2model.cli.connection import client, json_option, service_options
from image2model.cli.options import input_options, own_data_options, shared_options
from image2model.cli.output import print_json
from image2model.cli.submit.board import skipped_lines
from image2model.cli.submit.collect import Found
from image2model.cli.submit.item import Item, Outcome, printable, text_of, things
from image2model.cli.submit.ledger import Ledger, Options, SharedOptions
from image2model.cli.submit.manifest import read_manifest
from image2model.cli.submit.objects import collect_with_objects
from image2model.cli.submit.outputs import OutputFolder, assign
from image2model.cli.submit.plan import Batch, Plan, batches, halves, make_plan, new_batch
from image2model.cli.submit.send import CostLimit, fail_blamed, find_job, is_batch_too_large
from image2model.cli.submit.session import once_each
from image2model.cli.text import counted
from image2model.client import ApiError, AsyncClient, ClientError, Quote, QuotedImage
from image2model.domain import ImageStatus
from image2model.shielded import in_thread

_UNKNOWN: Final = "price not known in advance"


OnProgress = Callable[[int, int], None]


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


class BatchQuote(msgspec.Struct, frozen=True):
    """The service's quote for one upload: its entries, their model, and the note on its price."""

    entries: Sequence[Entry]
    model: str = ""
    price_note: str = ""


class Estimate(msgspec.Struct, frozen=True):
    """The quote for all pictures. `model` is empty where no picture had to be uploaded."""

    entries: Sequence[Entry]
    skipped: Sequence[Path]
    model: str
    price_note: str

    def of(self, fate: Fate) -> list[Entry]:
        """The entries of one fate."""
        return [entry for entry in self.entries if entry.fate is fate]

    @property
    def total_usd(self) -> float | None:
        """The sum; None where the price of any picture is unknown."""
        costs = [entry.cost_usd for entry in self.of(Fate.BUY)]
        known = [cost for cost in costs if cost is not None]
        return round(sum(known), 6) if len(known) == len(costs) else None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of the command."""

    paths: Sequence[Path]
    views: Path | None
    out: Path
    model: str | None
    params: dict[str, object] | None
    face_limit: int | None
    max_cost: float | None = None


@click.command(short_help="Show what a submit would cost, and buy nothing.")
@input_options
@shared_options
@own_data_options
@service_options
@json_option
def command(url: str | None, key: str | None, as_json: bool, manifest: Path | None, **given: Any) -> int:
    """Show what `submit` with the same arguments would cost, and buy nothing.

    Identical pictures count once, and pictures that an earlier run into --out has saved or sent cost nothing
    again. All others are uploaded, so that the service can check and price each; it keeps none of them, and
    nothing is written on this machine. Where the service's rate limit is reached, the command waits.

    Exit code 1 if a picture would be refused; each is listed with its reason.
    """
    del given["metadata"]  # read and checked by now; it changes no price
    if manifest is not None:
        read_manifest(manifest)
    service = client(url, key, patience=600)
    service.on_trouble(once_each(lambda reason: click.echo(f"{reason.rstrip('.')}; trying again", err=True)))
    return report(asyncio.run(run(Request(**given), service, _show)), as_json=as_json)


def _show(done: int, total: int) -> None:
    """Progress for a person at a terminal, because an upload of hundreds of pictures takes a while."""
    if sys.stderr.isatty():
        click.echo(f"\r{done}/{total} pictures quoted", nl=done == total, err=True)


async def run(request: Request, client: AsyncClient, on_progress: OnProgress) -> Estimate:
    """What `submit` would cost; `on_progress` gets the number of pictures quoted, and their total.

    Raises click.UsageError, ClientError, OSError.
    """
    collected = await in_thread(collect_with_objects, request.paths, request.views, leave_out=request.out)
    options = SharedOptions.of(client.url, request.model, request.params, request.face_limit)
    ledger = await in_thread(Ledger.read_copy, OutputFolder(request.out).ledger)
    with ledger:
        plan = await in_thread(_plan, collected.pictures, ledger, options, request.out)
        async with client:
            quoter = Quoter(client, ledger, options)
            fresh = [*plan.fresh, *await _again(quoter, plan)]
            quoter.limit = CostLimit(request.max_cost, len(fresh))
            quotes = await _quotes(quoter, fresh, on_progress)
    last = next((quote for quote in reversed(quotes) if quote.model), BatchQuote([]))
    return Estimate(_entries(plan, quotes), collected.skipped, last.model, last.price_note)


def _plan(pictures: Sequence[Found], ledger: Ledger, options: SharedOptions, out: Path) -> Plan:
    return make_plan(pictures, assign(pictures, ledger.claims(), out), ledger, options, out)


async def _again(quoter: "Quoter", plan: Plan) -> list[Item]:
    return [item for batch in plan.known for item in await quoter.to_send_again(batch)]


async def _quotes(quoter: "Quoter", items: Sequence[Item], on_progress: OnProgress) -> list[BatchQuote]:
    quotes: list[BatchQuote] = []
    done = 0
    async for batch in quoter.quote(items):
        quotes.append(batch)
        done += len(batch.entries)
        on_progress(done, len(items))
    return quotes


def _entries(plan: Plan, quotes: Sequence[BatchQuote]) -> list[Entry]:
    """In the plan's order: one for each picture, whether the service quoted it or not."""
    quoted = {entry.item.sha256: entry for batch in quotes for entry in batch.entries}
    return [quoted.get(item.sha256) or Entry(item, _known(item)) for item in plan.items]


def _known(item: Item) -> Fate:
    if item.outcome is Outcome.FAILED:
        return Fate.REFUSED
    return Fate.SAVED if item.outcome is Outcome.KEPT else Fate.SENT


class Quoter:
    """Gets quotes from the service, upload by upload."""

    def __init__(self, client: AsyncClient, ledger: Ledger, options: SharedOptions) -> None:
        self._client = client
        self._ledger = ledger
        self._options = options
        self.limit = CostLimit(None, 0)

    async def to_send_again(self, batch: Batch) -> list[Item]:
        """The pictures of an earlier run's batch that `submit` would send again. Raises ClientError.

        These never arrived, expired, or were cancelled before their model was saved. Pictures that the
        service refused then get their reason.
        """
        job_id = batch.job_id
        if job_id is None:
            hashes = {sha256 for sha256, _ in self._ledger.pictures(batch.key)}
            job_id = await find_job(self._client, hashes, since=batch.begun or 0)
        return list(batch.items) if job_id is None else await self._lost(job_id, batch.items)

    async def _lost(self, job_id: str, items: Sequence[Item]) -> list[Item]:
        try:
            job = await self._client.job(job_id)
        except ApiError as error:
            if not error.is_gone:
                raise
            return list(items)
        statuses = {image.sha256: image.status for image in job.images}
        rejected = {one.file: one for one in job.rejected}
        for item in items:
            if item.sha256 not in statuses and (refusal := rejected.get(item.name)):
                item.fail(refusal.code, refusal.detail)
        return [item for item in items if statuses.get(item.sha256) == ImageStatus.CANCELLED]

    async def quote(self, items: Sequence[Item]) -> AsyncIterator[BatchQuote]:
        """A quote for each upload. Raises ClientError."""
        for batch in batches(items):
            async for part in self._quote(batch):
                yield part

    async def _quote(self, batch: Batch) -> AsyncIterator[BatchQuote]:
        options = Options.from_text(self._options.params)
        limit = self.limit.take(len(batch.items))
        try:
            quote = await self._client.quote(
                [item.source for item in batch.items],
                model=self._options.model or None,
                params=options.params,
                face_limit=options.face_limit,
                max_cost_usd=limit,
            )
        except ApiError as error:
            self.limit.give_back(limit)
            if not is_batch_too_large(error, batch.items):
                rest = fail_blamed(error, batch.items)
                yield BatchQuote([Entry(item, Fate.REFUSED) for item in batch.items if item not in rest])
                if rest:
                    async for part in self._quote(new_batch(rest)):
                        yield part
                return
        else:
            yield _batch_quote(batch.items, quote)
            return
        for half in halves(batch.items):
            async for part in self._quote(half):
                yield part


def _batch_quote(items: Sequence[Item], quote: Quote) -> BatchQuote:
    if len(quote.images) != len(items):
        raise ClientError(f"the service quoted {len(quote.images)} pictures of {len(items)}")
    if quote.refusal is not None:
        for item in items:
            item.fail(quote.refusal.code, quote.refusal.detail)
        return BatchQuote([Entry(item, Fate.REFUSED) for item in items], quote.model, quote.price_note)
    entries = [_entry(item, image) for item, image in zip(items, quote.images, strict=True)]
    return BatchQuote(entries, quote.model, quote.price_note)


def _entry(item: Item, image: QuotedImage) -> Entry:
    if not image.ok:
        item.fail(image.code or "refused", image.detail or "the service gave no reason")
        return Entry(item, Fate.REFUSED)
    return Entry(item, Fate.CACHED) if image.cached else Entry(item, Fate.BUY, image.cost_usd)


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
    note = f" ({estimate.price_note})" if estimate.price_note and estimate.of(Fate.BUY) else ""
    click.echo(f"Total: {_usd(estimate.total_usd)}{note}")


def _heading(estimate: Estimate) -> str:
    files = sum(len(entry.item.stems) for entry in estimate.entries)
    pictures = len(estimate.entries)
    thing = things([entry.item for entry in estimate.entries])
    heading = counted(pictures, thing) + (f" in {files} files" if files > pictures else "")
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
        "images": [_image(entry) for entry in estimate.entries],
        "left_out": [text_of(path) for path in estimate.skipped],
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
