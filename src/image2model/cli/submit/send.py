"""Uploads batches, and finds the job of an upload whose reply was lost.

The same bytes under the same idempotency key are the same job, so an upload is repeated under its key. Once
that is no longer possible, the service's list of jobs decides.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from image2model.cli.submit.item import Item, content_of
from image2model.cli.submit.ledger import Ledger
from image2model.cli.submit.manifest import OwnData
from image2model.cli.submit.options import SharedOptions
from image2model.cli.submit.plan import KEY_SECONDS, Batch
from image2model.client import ApiError, AsyncClient, ClientError
from image2model.client.documents import Job
from image2model.client.form import Source
from image2model.domain import Metadata
from image2model.shielded import in_thread

_CLOCK_SKEW: Final = 3600.0
_TOO_LARGE: Final = frozenset({"too_many_files", "body_too_large"})
_FILES_TO_BLAME: Final = frozenset(
    {
        "file_too_large",
        "body_too_large",
        "not_an_image",
        "image_truncated",
        "image_too_large",
        "image_unreadable",
    }
)
_NOT_TAKEN: Final = "invalid_parameter"  # with `errors`: the model does not take these objects
_UPLOADS_AT_ONCE: Final = 2
_LEAST_USD: Final = 0.000001


class Sender:
    """Uploads the batches of one run."""

    def __init__(
        self,
        client: AsyncClient,
        ledger: Ledger,
        items: Sequence[Item],
        limit: "CostLimit",
        metadata: Metadata | None = None,
    ) -> None:
        self._limit = limit
        self._client = client
        self._ledger = ledger
        self._metadata = metadata or {}
        self._items: Mapping[str, Item] = {item.sha256: item for item in items}
        self._uploads = asyncio.Semaphore(_UPLOADS_AT_ONCE)

    async def send(self, batch: Batch) -> str | None:
        """Upload a new batch and return its job; None where its pictures were refused, each with its reason.

        Raises BatchTooLarge, RestOfBatch, ClientError.
        """
        objects = batch.objects
        pictures = [(item.sha256, item.name) for item in objects]
        views = {item.sha256: item.view_names for item in objects if item.views}
        own = OwnData.of(self._metadata, objects)
        await in_thread(self._ledger.begin, batch.key, batch.options, pictures, own, views)
        return await self._upload(batch, [item.source for item in objects], own.metadata)

    async def send_again(self, batch: Batch) -> str | None:
        """The job of a batch whose upload got no reply in an earlier run; None: there is none.

        The same bytes under the same key are the same job. Once that is no longer possible, the
        service's list of jobs decides. Raises ClientError.
        """
        sent = await in_thread(self._ledger.pictures, batch.key)
        key_is_kept = time.time() - (batch.begun or 0) < KEY_SECONDS
        if key_is_kept and all(sha256 in self._items for sha256, _ in sent):
            own = await in_thread(self._ledger.own_data, batch.key)
            views = await in_thread(self._ledger.views, batch.key)
            sources = [
                self._items[sha256].source_as(name, views.get(sha256, ()), own.pictures.get(sha256, {}))
                for sha256, name in sent
            ]
            return await self._upload(batch, sources, own.metadata)
        job_id = await find_job(
            self._client, {sha256 for sha256, _ in sent}, batch.options, since=batch.begun or 0
        )
        if job_id is None:
            await in_thread(self._ledger.drop, batch.key)
        else:
            await in_thread(self._ledger.accept, batch.key, job_id)
        return job_id

    async def _upload(self, batch: Batch, sources: Sequence[Source], metadata: Metadata) -> str | None:
        limit = self._limit.take(len(sources) * (batch.options.variants or 1))
        try:
            async with self._uploads:
                job = await self._client.submit(
                    sources,
                    model=batch.options.model or None,
                    on_invalid="skip",
                    metadata=metadata,
                    idempotency_key=batch.key,
                    **batch.options.options.fields(limit),
                )
        except ApiError as error:
            self._limit.give_back(limit)
            await self._refused(batch, error)
            return None
        await in_thread(self._ledger.accept, batch.key, job.job_id)
        return job.job_id

    async def _refused(self, batch: Batch, error: ApiError) -> None:
        if error.status < 500:  # after a refusal the service keeps nothing, and the key is free
            await in_thread(self._ledger.drop, batch.key)
        if is_batch_too_large(error, batch.items):
            raise BatchTooLarge from error
        if rest := fail_blamed(error, batch.items):
            raise RestOfBatch(rest) from error


class CostLimit:
    """`--max-cost` of one run: dollars that its uploads share, each by its number of pictures.

    `pictures`: how many the run will probably send.
    """

    def __init__(self, dollars: float | None, pictures: int) -> None:
        self._left = dollars
        self._each = (dollars or 0.0) / max(1, pictures)

    def take(self, pictures: int) -> float | None:
        """The share of so many pictures; None without a limit. Raises ClientError where nothing is left."""
        if self._left is None:
            return None
        share = min(self._each * pictures, self._left)
        if share < _LEAST_USD:
            raise ClientError("--max-cost is used up; run the same command again with a higher one")
        self._left -= share
        return share

    def give_back(self, share: float | None) -> None:
        """Nothing was bought for this share."""
        if share is not None and self._left is not None:
            self._left += share


class BatchTooLarge(Exception):
    """The service accepts less in one upload: split the batch."""


class RestOfBatch(Exception):
    """The service refused the batch because of some items, which have failed: send `items` without them."""

    def __init__(self, items: Sequence[Item]) -> None:
        super().__init__(f"{len(items)} items are left of a refused batch")
        self.items = items


def is_batch_too_large(error: ApiError, items: Sequence[Item]) -> bool:
    """Whether the service accepts less in one upload, and these items can be split."""
    return error.code in _TOO_LARGE and len({item.sha256 for item in items}) > 1


def fail_blamed(error: ApiError, items: Sequence[Item]) -> list[Item]:
    """Fail those to blame, each with its reason, and return the rest, which may be sent without them.

    Raises the error again where no picture is to blame.
    """
    if error.code == _NOT_TAKEN and error.errors:
        return _fail_not_taken(error, items)
    if error.code not in _FILES_TO_BLAME:
        raise error
    faults = {fault.file: fault for fault in error.errors}
    for item in items:
        names = (item.name, *item.view_names)
        fault = next((faults[name] for name in names if name in faults), None)
        item.fail(fault.code if fault else error.code, fault.detail if fault else error.detail)
    return []


def _fail_not_taken(error: ApiError, items: Sequence[Item]) -> list[Item]:
    """Fail the objects that the model does not take. Raises the error again where it names none of these."""
    faults = {fault.file: fault for fault in error.errors}
    rest = [item for item in items if item.name not in faults]
    if len(rest) == len(items):
        raise error
    for item in items:
        if fault := faults.get(item.name):
            item.fail(fault.code, fault.detail)
    return rest


async def find_job(
    client: AsyncClient, hashes: Collection[str], options: SharedOptions, *, since: float
) -> str | None:
    """The latest job of these pictures by the same model that was created after `since`, or None.

    Raises ClientError.
    """
    images = len(hashes) * (options.variants or 1)
    cursor: str | None = None
    while True:
        page = await client.jobs(cursor=cursor)
        for job in page.jobs:
            if _created(job) < since - _CLOCK_SKEW:
                return None
            fits = job.total <= images and (not options.model or job.model == options.model)
            if fits and await _holds(client, job.job_id, hashes, options):
                return job.job_id
        if (cursor := page.next_cursor) is None:
            return None


async def _holds(client: AsyncClient, job_id: str, hashes: Collection[str], options: SharedOptions) -> bool:
    images = (await client.job(job_id)).images
    numbers = {image.variant for image in images}
    wanted = {*range(1, options.variants + 1)} if options.variants else {None}
    return bool(images) and numbers == wanted and all(content_of(image) in hashes for image in images)


def _created(job: Job) -> float:
    return datetime.fromisoformat(job.created_at).timestamp() if job.created_at else time.time()
