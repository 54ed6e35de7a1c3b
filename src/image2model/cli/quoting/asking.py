"""Has the service judge pictures, in the uploads that `submit` would make of them.

Who calls it: the session. It must send nothing but quotes and questions: neither may buy or keep anything.
"""

from collections.abc import AsyncIterator, Sequence

from image2model.cli.quoting.estimate import Entry, Fate, Verdict
from image2model.cli.submit.finding import find_job
from image2model.cli.submit.item import Item
from image2model.cli.submit.ledger import Ledger, Options, Wish
from image2model.cli.submit.planning import Batch, batches, halves
from image2model.cli.submit.refusal import blame, is_too_much
from image2model.client import ApiError, AsyncClient, ClientError, Quote, QuotedImage
from image2model.domain import ImageStatus


class Asker:
    """For one quote."""

    def __init__(self, client: AsyncClient, ledger: Ledger, wish: Wish) -> None:
        self._client = client
        self._ledger = ledger
        self._wish = wish

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
