"""What a `submit` would do with each picture, and what it would cost.

Who calls it: the session makes it, the words say it.
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
from image2model.cli.connection import client, connected, for_scripts, print_json
from image2model.cli.options import shared_options
from image2model.cli.submit.board import left_out
from image2model.cli.submit.collect import Found, collect
from image2model.cli.submit.item import Item, Outcome, legible, text_of
from image2model.cli.submit.ledger import Ledger, Options, SharedOptions
from image2model.cli.submit.places import assign
from image2model.cli.submit.plan import Batch, Plan, batches, halves, make_plan
from image2model.cli.submit.save import Places
from image2model.cli.submit.send import blame, find_job, is_too_much
from image2model.cli.submit.session import once_each
from image2model.client import ApiError, AsyncClient, ClientError, Quote, QuotedImage
from image2model.domain import ImageStatus
from image2model.shielded import in_thread


class Fate(StrEnum):
    """What `submit` would do with a picture."""

    BUY = "buy"
    CACHED = "cached"
    SAVED = "saved"
    SENT = "sent"
    REFUSED = "refused"


class Entry(msgspec.Struct, frozen=True):
    """One picture. `cost_usd`: None where only the run tells; a refused one has its reason in the item."""

    item: Item
    fate: Fate
    cost_usd: float | None = 0.0


class Verdict(msgspec.Struct, frozen=True):
    """The service's word on some pictures: their entries, for which model, and how its price is meant."""

    entries: Sequence[Entry]
    model: str = ""
    price_note: str = ""


class Estimate(msgspec.Struct, frozen=True):
    """The whole. `model` is empty where the service had nothing to judge."""

    entries: Sequence[Entry]
    left_out: Sequence[Path]
    model: str
    price_note: str

    def of(self, fate: Fate) -> list[Entry]:
        """The entries of one fate."""
        return [entry for entry in self.entries if entry.fate is fate]

    @property
    def total_usd(self) -> float | None:
        """None where the price of any picture is not known."""
        costs = [entry.cost_usd for entry in self.of(Fate.BUY)]
        known = [cost for cost in costs if cost is not None]
        return round(sum(known), 6) if len(known) == len(costs) else None


class Asker:
    """For one quote."""

    def __init__(self, client: AsyncClient, ledger: Ledger, options: SharedOptions) -> None:
        self._client = client
        self._ledger = ledger
        self._wish = options

    async def to_send_again(self, batch: Batch) -> list[Item]:
        """What `submit` would send anew of an earlier run's batch. Raises ClientError.

        That is what never arrived, and what has expired or was cancelled before its model was saved. What
        the service refused then has its reason from here on.
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

    async def judge(self, items: Sequence[Item]) -> AsyncIterator[Verdict]:
        """The service's word on each, upload by upload. Raises ClientError."""
        for batch in batches(items):
            async for verdict in self._judge(batch):
                yield verdict

    async def _judge(self, batch: Batch) -> AsyncIterator[Verdict]:
        options = Options.from_text(self._wish.params)
        try:
            quote = await self._client.quote(
                [item.picture for item in batch.items],
                model=self._wish.model or None,
                params=options.params,
                face_limit=options.face_limit,
            )
        except ApiError as error:
            if not is_too_much(error, batch.items):
                blame(error, batch.items)
                yield Verdict([Entry(item, Fate.REFUSED) for item in batch.items])
                return
        else:
            yield _verdict(batch.items, quote)
            return
        for half in halves(batch.items):
            async for verdict in self._judge(half):
                yield verdict


def _verdict(items: Sequence[Item], quote: Quote) -> Verdict:
    if len(quote.images) != len(items):
        raise ClientError(f"the service judged {len(quote.images)} pictures of {len(items)}")
    entries = [_entry(item, image) for item, image in zip(items, quote.images, strict=True)]
    return Verdict(entries, quote.model, quote.price_note)


def _entry(item: Item, image: QuotedImage) -> Entry:
    if not image.ok:
        item.fail(image.code or "refused", image.detail or "the service gave no reason")
        return Entry(item, Fate.REFUSED)
    return Entry(item, Fate.CACHED) if image.cached else Entry(item, Fate.BUY, image.cost_usd)


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


OnProgress = Callable[[int, int], None]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of the command."""

    paths: Sequence[Path]
    out: Path
    model: str | None
    params: dict[str, object] | None
    face_limit: int | None


async def run(request: Request, client: AsyncClient, on_progress: OnProgress) -> Estimate:
    """What `submit` would cost; `on_progress` hears how many of how many the service has judged.

    Raises click.UsageError, ClientError, OSError.
    """
    collected = await in_thread(collect, request.paths, leave_out=request.out)
    options = SharedOptions.of(client.url, request.model, request.params, request.face_limit)
    ledger = await in_thread(Ledger.as_it_is, Places(request.out).ledger)
    with ledger:
        plan = await in_thread(_plan, collected.pictures, ledger, options, request.out)
        async with client:
            asker = Asker(client, ledger, options)
            fresh = [*plan.fresh, *await _again(asker, plan)]
            verdicts = await _judged(asker, fresh, on_progress)
    last = verdicts[-1] if verdicts else Verdict([])
    return Estimate(_entries(plan, verdicts), collected.skipped, last.model, last.price_note)


def _plan(pictures: Sequence[Found], ledger: Ledger, options: SharedOptions, out: Path) -> Plan:
    return make_plan(pictures, assign(pictures, ledger.places(), out), ledger, options, out)


async def _again(asker: Asker, plan: Plan) -> list[Item]:
    return [item for batch in plan.known for item in await asker.to_send_again(batch)]


async def _judged(asker: Asker, items: Sequence[Item], on_progress: OnProgress) -> list[Verdict]:
    verdicts: list[Verdict] = []
    done = 0
    async for verdict in asker.judge(items):
        verdicts.append(verdict)
        done += len(verdict.entries)
        on_progress(done, len(items))
    return verdicts


def _entries(plan: Plan, verdicts: Sequence[Verdict]) -> list[Entry]:
    """In the plan's order: one for each picture, judged or known without."""
    judged = {entry.item.sha256: entry for verdict in verdicts for entry in verdict.entries}
    return [judged.get(item.sha256) or Entry(item, _known(item)) for item in plan.items]


def _known(item: Item) -> Fate:
    if item.outcome is Outcome.FAILED:
        return Fate.REFUSED
    return Fate.SAVED if item.outcome is Outcome.KEPT else Fate.SENT


@click.command(short_help="Tell what a submit would cost, and buy nothing.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@shared_options
@connected
@for_scripts
def command(url: str | None, key: str | None, as_json: bool, **given: Any) -> int:
    """Tell what `submit` with the same arguments would cost, and buy nothing.

    Identical pictures count once, and what an earlier run into --out has saved or sent costs nothing again.
    The other pictures are uploaded, so that the service can judge and price each; it keeps none of them, and
    nothing is written on this machine. A service that has to be asked more often than its rate limit allows
    is waited for.

    Exit code 1 if a picture would be refused; each is named with its reason.
    """
    service = client(url, key, patience=600)
    service.on_trouble(once_each(lambda reason: click.echo(f"{reason.rstrip('.')}; trying again", err=True)))
    return report(asyncio.run(run(Request(**given), service, _show)), as_json=as_json)


def _show(done: int, total: int) -> None:
    """An upload of hundreds of pictures takes a while: a person sees it move, a script nothing."""
    if sys.stderr.isatty():
        click.echo(f"\r{done}/{total} pictures judged", nl=done == total, err=True)
