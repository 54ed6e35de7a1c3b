"""What a batch would cost and what is wrong with it. Nothing is stored and nothing runs.

It only reads: the scripts decide what is reused when a batch really runs.
"""

from collections.abc import Mapping, Sequence

import msgspec
from redis.asyncio import Redis

from image2model.domain import ImageStatus, ScaledPicture
from image2model.errors import Problem
from image2model.http.documents import NO_SEED, RequestWarning, ViewDocument
from image2model.http.picture_warnings import PictureWarning, frames_warning, scaled_warning
from image2model.jobs.batch_request import BatchRequest, digests
from image2model.jobs.objects import BadObject, GoodFile, Objects, ReceivedObject
from image2model.jobs.variants import Variant, given_seed, numbered
from image2model.media.advice import Advice
from image2model.media.fitting import fitted
from image2model.money import to_micro, to_usd
from image2model.store.keys import key


class ImageQuote(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one object: a picture, or several `views`. Then `filename` is the object's name.

    `cost_usd` is that of all its variants, null where only the run shows it, and 0 for one with a bad file.
    It contains `preparation_cost_usd`: what removing the backgrounds of its views costs, as far as they are
    not cut out. `cached`: nothing has to run for it.
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
    frames: int | None = None
    cached: bool = False
    cost_usd: float | None
    preparation_cost_usd: float | None = 0.0
    views: tuple[ViewDocument, ...] = ()
    warnings: tuple[PictureWarning, ...] = ()


class QuoteRefusal(msgspec.Struct, frozen=True):
    """Why the upload would be refused: `price_unknown` or `budget_exceeded`, and what to do."""

    code: str
    detail: str


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """The whole verdict.

    `accepted`: whether the same request to `/upload/batch` would become a job; `refusal` says why it would
    not because of its price. `cost_usd_each` is the price of one picture that has to run; a `cached` one
    costs nothing, because its result exists. `price_source`: whose price it is, null where none is known.
    `preparation_cost_usd_each`: what removing the background of one view costs, 0 where none is removed.
    `variants`: how many models are made of each picture, null where the form does not say.
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
    preparation_cost_usd_each: float | None = 0.0
    max_cost_usd: float | None = None
    refusal: QuoteRefusal | None = None
    variants: int | None = None
    warnings: tuple[RequestWarning, ...] = ()
    images: tuple[ImageQuote, ...]


class ComparisonQuote(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one request for several models, with one quote for each.

    `accepted` and `refusal` are of the whole: `max_cost_usd` is the limit of all models together.
    """

    quotes: tuple[Quote, ...]
    accepted: bool
    total_cost_usd: float | None
    refusal: QuoteRefusal | None


Run = tuple[int, int]
"""The index of an object, and the number of its variant."""


def run_digests(
    request: BatchRequest, objects: Sequence[ReceivedObject], *, owner: str, dedupe: str
) -> dict[Run, str]:
    """What makes two runs the same; empty where the seed is yet to be drawn, so that nothing is reused."""
    plain = digests(request, objects, owner=owner, dedupe=dedupe)
    drawn = request.endpoint.seed_param is not None
    given = given_seed(request.endpoint, request.params) is not None
    found: dict[Run, str] = {}
    for index, digest in plain.items():
        for number in range(1, (request.variants or 1) + 1):
            fixed = request.variants is None or not drawn or (given and number == 1)
            variant = Variant(number=number, seed=None)
            found[index, number] = numbered(digest, variant) if fixed else ""
    return found


async def reusable(redis: Redis, runs: Mapping[Run, str]) -> frozenset[Run]:
    """The runs that are not needed: their result exists, or an earlier one of them makes it.

    `runs` holds the digest of each run; an empty one is never reused.
    """
    seen = set(await _succeeded(redis, sorted({digest for digest in runs.values() if digest})))
    found = set()
    for run, digest in sorted(runs.items()):
        if digest in seen:
            found.add(run)
        elif digest:
            seen.add(digest)
    return frozenset(found)


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


async def to_cut_out(redis: Redis, digests: Mapping[int, Sequence[str]], seen: set[str]) -> dict[int, int]:
    """How many backgrounds must be removed for each object: not those that were, or are for an earlier one.

    `digests` holds those of each object's views by its index; an empty one is never reused. `seen`: those
    that are removed for an earlier object; these are added.
    """
    named = sorted({digest for views in digests.values() for digest in views if digest})
    seen |= await _cut_out(redis, named)
    counts: dict[int, int] = {}
    for index, views in sorted(digests.items()):
        counts[index] = 0
        for digest in views:
            counts[index] += digest not in seen
            if digest:
                seen.add(digest)
    return counts


async def _cut_out(redis: Redis, digests: Sequence[str]) -> frozenset[str]:
    """Those of the digests whose cut-out an image has."""
    if not digests:
        return frozenset()
    pipe = redis.pipeline(transaction=False)
    for digest in digests:
        pipe.get(key("cutout", digest))
    holders = {digest: one.decode() for digest, one in zip(digests, await pipe.execute(), strict=True) if one}
    for holder in holders.values():
        pipe.exists(key("image", holder))
    there = await pipe.execute() if holders else []
    return frozenset(digest for digest, exists in zip(holders, there, strict=True) if exists)


def quote(
    request: BatchRequest,
    objects: Objects,
    cached: frozenset[Run],
    cutouts: Mapping[int, int],
    advice: Mapping[int, Advice],
    *,
    dedupe: str,
) -> Quote:
    """The verdict on a batch that was read. `cached`: runs whose results exist; `cutouts`: how many
    backgrounds are removed for each object by its index; `advice`: on each file by its index.
    """
    good, bad = objects.good, objects.bad
    each, each_cutout, runs = request.endpoint.price(request.params), request.cutout_price, request.images(1)
    missing = {one.index: runs - sum(index == one.index for index, _ in cached) for one in good}
    total = _sum(each, sum(missing.values()), each_cutout, sum(cutouts.values()))
    verdicts = {
        one.index: _good(
            one,
            missing[one.index],
            each,
            each_cutout,
            cutouts.get(one.index, 0),
            _warnings(one, advice, request),
        )
        for one in good
    }
    verdicts |= {one.index: _bad(one) for one in bad}
    refusal = request.refusal(request.images(len(good)), request.cutouts(good, dedupe=dedupe))
    chance = runs > 1 and request.endpoint.seed_param is None
    return Quote(
        model=request.endpoint.id,
        params=dict(request.params),
        accepted=bool(good) and (request.skip_invalid or not bad) and refusal is None,
        total=len(verdicts),
        good=len(good),
        bad=len(bad),
        cost_usd_each=_usd(each),
        total_cost_usd=_usd(total),
        price_note=request.endpoint.price_note,
        price_source=None if each is None else request.endpoint.price_source,
        preparation_cost_usd_each=_usd(each_cutout),
        max_cost_usd=_usd(request.max_cost_micro),
        refusal=_refusal(refusal),
        variants=request.variants,
        warnings=(NO_SEED,) if chance else (),
        images=tuple(verdict for _, verdict in sorted(verdicts.items())),
    )


def compared(quotes: Sequence[Quote], refusal: Problem | None) -> ComparisonQuote:
    """The quotes of several models as one. `refusal`: why the whole cannot be bought."""
    totals = [one.total_cost_usd for one in quotes]
    return ComparisonQuote(
        quotes=tuple(quotes),
        accepted=refusal is None and all(one.accepted for one in quotes),
        total_cost_usd=None if None in totals else to_usd(sum(to_micro(one) for one in totals if one)),
        refusal=_refusal(refusal),
    )


def _refusal(problem: Problem | None) -> QuoteRefusal | None:
    return None if problem is None else QuoteRefusal(problem.code, problem.detail)


def _sum(each: int | None, runs: int, each_cutout: int | None, cutouts: int) -> int | None:
    """Micro-dollars for so many of both; None where a price that is needed is not known."""
    if (each is None and runs) or (each_cutout is None and cutouts):
        return None
    return (each or 0) * runs + (each_cutout or 0) * cutouts


def _warnings(
    received: ReceivedObject, advice: Mapping[int, Advice], request: BatchRequest
) -> tuple[PictureWarning, ...]:
    found: list[PictureWarning | None] = []
    for view in received.views:
        told = advice.get(view.index)
        found.append(None if told is None else PictureWarning(told.code, view.filename, told.message))
        found.append(frames_warning(view.filename, view.format, view.frames))
        found.append(_scaled(view, request))
    return tuple(one for one in found if one is not None)


def _scaled(view: GoodFile, request: BatchRequest) -> PictureWarning | None:
    """Whether it will be made smaller because of its sides. Those of a prepared picture are not known yet."""
    if view.width is None or view.height is None:
        return None
    whole = (view.width, view.height)
    width, height = fitted(whole, request.endpoint.picture_limits)
    if request.preparing is not None or (width, height) == whole:
        return None
    scaled = ScaledPicture(
        model=request.endpoint.id, from_width=whole[0], from_height=whole[1], width=width, height=height
    )
    return scaled_warning(view.filename, scaled)


def _good(
    received: ReceivedObject,
    runs: int,
    each: int | None,
    each_cutout: int | None,
    cutouts: int,
    warnings: tuple[PictureWarning, ...],
) -> ImageQuote:
    first = received.views[0]
    return ImageQuote(
        filename=received.name,
        ok=True,
        size=received.size,
        sha256=received.sha256,
        format=first.format,
        width=first.width,
        height=first.height,
        frames=first.frames,
        cached=not runs,
        cost_usd=_usd(_sum(each, runs, each_cutout, cutouts)),
        preparation_cost_usd=_usd(_sum(0, 0, each_cutout, cutouts)),
        views=tuple(
            ViewDocument(
                side=side or None,
                filename=view.filename,
                size=view.size,
                sha256=view.sha256,
                width=view.width,
                height=view.height,
                frames=view.frames,
            )
            for side, view in zip(received.sides, received.views, strict=True)
        ),
        warnings=warnings,
    )


def _bad(one: BadObject) -> ImageQuote:
    return ImageQuote(filename=one.name, ok=False, code=one.code, detail=one.detail, cost_usd=0.0)


def _usd(micro: int | None) -> float | None:
    return None if micro is None else to_usd(micro)
