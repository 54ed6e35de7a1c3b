"""What a batch would cost and what is wrong with it. Nothing is stored and nothing runs.

It only reads: the scripts decide what is reused when a batch really runs.
"""

from collections.abc import Mapping, Sequence

import msgspec
from redis.asyncio import Redis

from image2model.domain import ImageStatus
from image2model.http.documents import ViewDocument
from image2model.jobs.batch_request import BatchRequest
from image2model.jobs.objects import BadObject, Objects, ReceivedObject
from image2model.money import to_usd
from image2model.store.keys import key


class ImageQuote(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one object: a picture, or several `views`. Then `filename` is the object's name.

    `cost_usd` is null where only the run shows it, and 0 for one with a bad file.
    """

    filename: str
    ok: bool
    code: str | None = None
    detail: str | None = None
    size: int | None = None
    sha256: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    cached: bool = False
    cost_usd: float | None
    views: tuple[ViewDocument, ...] = ()


class QuoteRefusal(msgspec.Struct, frozen=True):
    """Why the upload would be refused: `price_unknown` or `budget_exceeded`, and what to do."""

    code: str
    detail: str


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """The whole verdict.

    `accepted`: whether the same request to `/upload/batch` would become a job; `refusal` says why it would
    not because of its price. `cost_usd_each` is the price of one picture that has to run; a `cached` one
    costs nothing, because its result exists. `price_source`: whose price it is, null where none is known.
    """

    model: str
    params: dict[str, object]
    accepted: bool
    total: int
    good: int
    bad: int
    cost_usd_each: float | None
    total_cost_usd: float | None
    price_note: str
    price_source: str | None = None
    max_cost_usd: float | None = None
    refusal: QuoteRefusal | None = None
    images: tuple[ImageQuote, ...]


async def reusable(redis: Redis, digests: Mapping[int, str]) -> frozenset[int]:
    """Indices of the pictures that need no run: their result exists, or an earlier one of them makes it.

    `digests` holds each picture's digest by its index; an empty one is never reused.
    """
    seen = set(await _succeeded(redis, sorted({digest for digest in digests.values() if digest})))
    indices = set()
    for index, digest in sorted(digests.items()):
        if digest in seen:
            indices.add(index)
        elif digest:
            seen.add(digest)
    return frozenset(indices)


async def _succeeded(redis: Redis, digests: Sequence[str]) -> frozenset[str]:
    """Those of the digests whose picture has run with success, so that its result can be reused."""
    if not digests:
        return frozenset()
    pipe = redis.pipeline(transaction=False)
    for digest in digests:
        pipe.get(key("reuse", digest))
    leaders = {digest: one.decode() for digest, one in zip(digests, await pipe.execute(), strict=True) if one}
    for leader in leaders.values():
        pipe.hget(key("image", leader), "status")
    statuses = await pipe.execute() if leaders else []
    succeeded = ImageStatus.SUCCEEDED.value.encode()
    return frozenset(digest for digest, status in zip(leaders, statuses, strict=True) if status == succeeded)


def quote(request: BatchRequest, objects: Objects, cached: frozenset[int]) -> Quote:
    """The verdict on a batch that was read. `cached`: indices of objects whose results exist."""
    good, bad = objects.good, objects.bad
    each = request.endpoint.price(request.params)
    to_run = sum(one.index not in cached for one in good)
    verdicts = {one.index: _good(one, one.index in cached, each) for one in good}
    verdicts |= {one.index: _bad(one) for one in bad}
    refusal = request.refusal(len(good))
    return Quote(
        model=request.endpoint.id,
        params=dict(request.params),
        accepted=bool(good) and (request.skip_invalid or not bad) and refusal is None,
        total=len(verdicts),
        good=len(good),
        bad=len(bad),
        cost_usd_each=_usd(each),
        total_cost_usd=_usd(None if each is None and to_run else (each or 0) * to_run),
        price_note=request.endpoint.price_note,
        price_source=None if each is None else request.endpoint.price_source,
        max_cost_usd=_usd(request.max_cost_micro),
        refusal=None if refusal is None else QuoteRefusal(refusal.code, refusal.detail),
        images=tuple(verdict for _, verdict in sorted(verdicts.items())),
    )


def _good(received: ReceivedObject, cached: bool, each: int | None) -> ImageQuote:
    first = received.views[0]
    return ImageQuote(
        filename=received.name,
        ok=True,
        size=received.size,
        sha256=received.sha256,
        format=first.format,
        width=first.width,
        height=first.height,
        cached=cached,
        cost_usd=0.0 if cached else _usd(each),
        views=tuple(
            ViewDocument(
                side=side or None,
                filename=view.filename,
                size=view.size,
                sha256=view.sha256,
                width=view.width,
                height=view.height,
            )
            for side, view in zip(received.sides, received.views, strict=True)
        ),
    )


def _bad(one: BadObject) -> ImageQuote:
    return ImageQuote(filename=one.name, ok=False, code=one.code, detail=one.detail, cost_usd=0.0)


def _usd(micro: int | None) -> float | None:
    return None if micro is None else to_usd(micro)
