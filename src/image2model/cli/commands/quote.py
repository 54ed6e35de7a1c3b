"""`image2model quote`: what a `submit` would do with each picture, and what it would cost.

It buys nothing, and changes neither the ledger nor the output folder.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from image2model.cli.connection import client, json_option, service_options
from image2model.cli.options import (
    PictureCommand,
    input_options,
    making_options,
    own_data_options,
    pop_making,
    shared_options,
)
from image2model.cli.submit.estimate import Entry, Estimate, Fate, report
from image2model.cli.submit.item import Item, Outcome, content_of
from image2model.cli.submit.ledger import Ledger
from image2model.cli.submit.manifest import read_manifest
from image2model.cli.submit.objects import collect_with_objects
from image2model.cli.submit.options import Making, SharedOptions
from image2model.cli.submit.outputs import OutputFolder, Wanted, assign, wanted
from image2model.cli.submit.plan import (
    Batch,
    Plan,
    batches,
    halves,
    make_plan,
    new_batch,
    objects_of,
    whole_objects,
)
from image2model.cli.submit.send import CostLimit, fail_blamed, find_job, is_batch_too_large
from image2model.cli.submit.session import once_each
from image2model.client import ApiError, AsyncClient, ClientError, Quote, QuotedImage
from image2model.client.documents import Warned
from image2model.domain import ImageStatus
from image2model.shielded import in_thread

OnProgress = Callable[[int, int], None]


class BatchQuote(msgspec.Struct, frozen=True):
    """The service's quote for one upload: its entries, their model, and the note on its price."""

    entries: Sequence[Entry]
    model: str = ""
    price_note: str = ""
    warnings: Sequence[Warned] = ()


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of the command."""

    paths: Sequence[Path]
    views: Path | None
    out: Path
    models: Sequence[str]
    params: dict[str, object] | None
    face_limit: int | None
    making: Making
    max_cost: float | None = None


@click.command(cls=PictureCommand, short_help="Show what a submit would cost, and buy nothing.")
@input_options
@making_options
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
    given["making"] = pop_making(given)
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
    options = SharedOptions.of_each(
        client.url, request.models, request.params, request.face_limit, request.making
    )
    ledger = await in_thread(Ledger.read_copy, OutputFolder(request.out).ledger)
    with ledger:
        plan = await in_thread(_plan, wanted(collected.pictures, options), ledger, request.out)
        async with client:
            quoter = Quoter(client, ledger)
            fresh = [*plan.fresh, *await _again(quoter, plan)]
            quoter.limit = CostLimit(request.max_cost, len(fresh))
            quotes = await _quotes(quoter, fresh, on_progress)
    return _estimate(plan, quotes, collected.skipped)


def _estimate(plan: Plan, quotes: Sequence[BatchQuote], skipped: Sequence[Path]) -> Estimate:
    models = dict.fromkeys(quote.model for quote in quotes if quote.model)
    notes = dict.fromkeys(quote.price_note for quote in quotes if quote.price_note)
    return Estimate(
        _entries(plan, quotes),
        skipped,
        ", ".join(models),
        "; ".join(notes),
        list(dict.fromkeys(warning for quote in quotes for warning in quote.warnings)),
    )


def _plan(models: Sequence[Wanted], ledger: Ledger, out: Path) -> Plan:
    return make_plan(models, assign(models, ledger.claims(), out), ledger, out)


async def _again(quoter: "Quoter", plan: Plan) -> list[Item]:
    return whole_objects([item for batch in plan.known for item in await quoter.to_send_again(batch)])


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
    quoted = {entry.item.key: entry for batch in quotes for entry in batch.entries}
    return [quoted.get(item.key) or Entry(item, _known(item)) for item in plan.items]


def _known(item: Item) -> Fate:
    if item.outcome is Outcome.FAILED:
        return Fate.REFUSED
    return Fate.SAVED if item.outcome is Outcome.KEPT else Fate.SENT


class Quoter:
    """Gets quotes from the service, upload by upload."""

    def __init__(self, client: AsyncClient, ledger: Ledger) -> None:
        self._client = client
        self._ledger = ledger
        self.limit = CostLimit(None, 0)

    async def to_send_again(self, batch: Batch) -> list[Item]:
        """The pictures of an earlier run's batch that `submit` would send again. Raises ClientError.

        These never arrived, expired, or were cancelled before their model was saved. Pictures that the
        service refused then get their reason.
        """
        job_id = batch.job_id
        if job_id is None:
            hashes = {sha256 for sha256, _ in self._ledger.pictures(batch.key)}
            job_id = await find_job(self._client, hashes, batch.options, since=batch.begun or 0)
        return list(batch.items) if job_id is None else await self._lost(job_id, batch.items)

    async def _lost(self, job_id: str, items: Sequence[Item]) -> list[Item]:
        try:
            job = await self._client.job(job_id)
        except ApiError as error:
            if not error.is_gone:
                raise
            return list(items)
        statuses = {(content_of(image), image.variant or 0): image.status for image in job.images}
        rejected = {one.file: one for one in job.rejected}
        for item in items:
            if (item.sha256, item.variant) not in statuses and (refusal := rejected.get(item.name)):
                item.fail(refusal.code, refusal.detail)
        return [item for item in items if statuses.get((item.sha256, item.variant)) == ImageStatus.CANCELLED]

    async def quote(self, items: Sequence[Item]) -> AsyncIterator[BatchQuote]:
        """A quote for each upload. Raises ClientError."""
        for batch in batches(items):
            async for part in self._quote(batch):
                yield part

    async def _quote(self, batch: Batch) -> AsyncIterator[BatchQuote]:
        limit = self.limit.take(len(batch.items))
        try:
            quote = await self._client.quote(
                [item.source for item in batch.objects],
                model=batch.options.model or None,
                **batch.options.options.fields(limit),
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
    objects = objects_of(items)
    if len(quote.images) != len(objects):
        raise ClientError(f"the service quoted {len(quote.images)} pictures of {len(objects)}")
    if quote.refusal is not None:
        for item in items:
            item.fail(quote.refusal.code, quote.refusal.detail)
        entries = [Entry(item, Fate.REFUSED) for item in items]
    else:
        pairs = zip(objects, quote.images, strict=True)
        entries = [entry for variants, image in pairs for entry in _object_entries(variants, image)]
    return BatchQuote(entries, quote.model, quote.price_note, quote.warnings)


def _object_entries(variants: Sequence[Item], image: QuotedImage) -> list[Entry]:
    """One for each variant; `image` has the cost of all of them. Its warnings go with the first."""
    warnings = {**dict.fromkeys(image.warnings), **dict.fromkeys(w for v in image.views for w in v.warnings)}
    share = None if image.cost_usd is None else image.cost_usd / len(variants)
    first, *more = [_entry(item, image, share) for item in variants]
    return [msgspec.structs.replace(first, warnings=tuple(warnings)), *more]


def _entry(item: Item, image: QuotedImage, cost_usd: float | None) -> Entry:
    if not image.ok:
        item.fail(image.code or "refused", image.detail or "the service gave no reason")
        return Entry(item, Fate.REFUSED)
    return Entry(item, Fate.CACHED) if image.cached else Entry(item, Fate.BUY, cost_usd)
