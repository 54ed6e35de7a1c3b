"""Which contents have a result already. Who calls it: the quote. The scripts decide what is reused."""

from collections.abc import Sequence

import msgspec
from redis.asyncio import Redis

from image2model.domain import ImageStatus
from image2model.jobs import batch_request as content
from image2model.jobs.batch_request import BatchRequest
from image2model.jobs.lost_reply import Picture
from image2model.money import to_usd
from image2model.store.keys import key


async def succeeded(redis: Redis, digests: Sequence[str]) -> frozenset[str]:
    """Those of the digests whose picture has run with success, so that its result can be taken."""
    if not digests:
        return frozenset()
    pipe = redis.pipeline(transaction=False)
    for digest in digests:
        pipe.get(key("reuse", digest))
    leaders = {digest: one.decode() for digest, one in zip(digests, await pipe.execute(), strict=True) if one}
    for leader in leaders.values():
        pipe.hget(key("image", leader), "status")
    statuses = await pipe.execute() if leaders else []
    done = ImageStatus.SUCCEEDED.value.encode()
    return frozenset(digest for digest, status in zip(leaders, statuses, strict=True) if status == done)


class BadPicture(msgspec.Struct, frozen=True):
    """A file that an upload would refuse: its place among the files, its name, and why."""

    index: int
    filename: str
    code: str
    detail: str


class ImageQuote(msgspec.Struct, frozen=True, kw_only=True):
    """One file's verdict. `cost_usd` is null where only the run tells, and 0 for a bad file."""

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


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """The whole verdict.

    `accepted`: whether the same request to `/upload/batch` would become a job. `cost_usd_each` is the
    price of one picture that has to run; a `cached` one costs nothing, for its result is there.
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
    images: tuple[ImageQuote, ...]


async def reusable(
    redis: Redis, request: BatchRequest, pictures: Sequence[Picture], *, owner: str, dedupe: str
) -> frozenset[int]:
    """Places of the pictures that need no run: their result is there, or an earlier one makes it."""
    digests = {
        picture.index: content.digest(
            picture.sha256,
            request.endpoint.id,
            request.params,
            owner=owner,
            dedupe=dedupe,
            no_cache=request.no_cache,
        )
        for picture in pictures
    }
    seen = set(await succeeded(redis, sorted({digest for digest in digests.values() if digest})))
    places = set()
    for index, digest in sorted(digests.items()):
        if digest in seen:
            places.add(index)
        elif digest:
            seen.add(digest)
    return frozenset(places)


def quote(
    request: BatchRequest, good: Sequence[Picture], bad: Sequence[BadPicture], cached: frozenset[int]
) -> Quote:
    """The verdict on a batch that was read. `cached`: places of pictures whose results are there."""
    each = request.endpoint.price(request.params)
    to_run = sum(picture.index not in cached for picture in good)
    verdicts = {picture.index: _good(picture, picture.index in cached, each) for picture in good}
    verdicts |= {one.index: _bad(one) for one in bad}
    return Quote(
        model=request.endpoint.id,
        params=dict(request.params),
        accepted=bool(good) and (request.skip_invalid or not bad),
        total=len(verdicts),
        good=len(good),
        bad=len(bad),
        cost_usd_each=_usd(each),
        total_cost_usd=_usd(None if each is None and to_run else (each or 0) * to_run),
        price_note=request.endpoint.price_note,
        images=tuple(verdict for _, verdict in sorted(verdicts.items())),
    )


def _good(picture: Picture, cached: bool, each: int | None) -> ImageQuote:
    return ImageQuote(
        filename=picture.filename,
        ok=True,
        size=picture.size,
        sha256=picture.sha256,
        format=picture.format,
        width=picture.width,
        height=picture.height,
        cached=cached,
        cost_usd=0.0 if cached else _usd(each),
    )


def _bad(one: BadPicture) -> ImageQuote:
    return ImageQuote(filename=one.filename, ok=False, code=one.code, detail=one.detail, cost_usd=0.0)


def _usd(micro: int | None) -> float | None:
    return None if micro is None else to_usd(micro)
