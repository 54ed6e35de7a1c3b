"""Variants: several models of one object by one endpoint, each made with a seed of its own.

An endpoint without a seed makes another model in each run all the same. There the variant's number goes into
the digest, so that one variant does not reuse the result of another.
"""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from image2model.domain import StoredView
from image2model.errors import InvalidParameter
from image2model.fal.endpoints import Endpoint, Json
from image2model.http.upload.reader import VARIANTS
from image2model.jobs.digests import variant_digest
from image2model.jobs.new_jobs import NewImage

if TYPE_CHECKING:
    from image2model.jobs.batch_request import BatchRequest

MAX_VARIANTS: Final = 10
_SEEDS: Final = 2**31
"""How many seeds are drawn from: where the endpoint has no bounds of its own, 0 to 2^31-1."""
_NUMBER: Final = re.compile(r"[1-9][0-9]?", re.ASCII)
_random: Final = secrets.SystemRandom()


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One of the models of an object. `seed` is null where the endpoint has none."""

    number: int
    seed: int | None


def read_variants(fields: Mapping[str, str]) -> int | None:
    """The form's `variants`; None where it has none. Raises InvalidParameter."""
    text = fields.get(VARIANTS)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or int(text) > MAX_VARIANTS:
        raise InvalidParameter(
            f"`{VARIANTS}` must be a whole number from 1 to {MAX_VARIANTS}, not {text[:32]!r}."
        )
    return int(text)


def draw(request: "BatchRequest") -> tuple[Variant, ...]:
    """The variants of one object, with their seeds; none where the request wants no variants.

    A seed among the parameters is the first variant's. Raises InvalidParameter where the endpoint has fewer
    seeds than are needed.
    """
    if request.variants is None:
        return ()
    numbers = range(1, request.variants + 1)
    if request.endpoint.seed_param is None:
        return tuple(Variant(number=number, seed=None) for number in numbers)
    seeds = _draw_seeds(request.endpoint, given_seed(request.endpoint, request.params), request.variants)
    return tuple(Variant(number=number, seed=seed) for number, seed in zip(numbers, seeds, strict=True))


def given_seed(endpoint: Endpoint, params: Mapping[str, object]) -> int | None:
    """The seed that the client named among the parameters."""
    name = endpoint.seed_param
    seed = params.get(name) if name is not None else None
    return seed if isinstance(seed, int) else None


def _draw_seeds(endpoint: Endpoint, given: int | None, count: int) -> Sequence[int]:
    """Different seeds within the endpoint's bounds, the given one first."""
    lowest, highest = bounds(endpoint)
    taken = [] if given is None else [given]
    left = highest - lowest + 1 - (given is not None and lowest <= given <= highest)
    if left < count - len(taken):
        raise InvalidParameter(
            f"{endpoint.id} has only {highest - lowest + 1} seeds. Ask for fewer `{VARIANTS}`."
        )
    while len(taken) < count:
        seed = _random.randint(lowest, highest)
        if seed not in taken:
            taken.append(seed)
    return taken


def bounds(endpoint: Endpoint) -> tuple[int, int]:
    """The lowest and the highest seed that is drawn. A negative one often means a random one to FAL."""
    parameter = endpoint.parameters[endpoint.seed_param or ""]
    lowest = int(-(-parameter.minimum // 1)) if parameter.minimum is not None else 0
    if parameter.above is not None:
        lowest = max(lowest, int(parameter.above // 1) + 1)
    highest = int(parameter.maximum // 1) if parameter.maximum is not None else max(lowest, 0) + _SEEDS - 1
    if parameter.below is not None:
        highest = min(highest, int(-(-parameter.below // 1)) - 1)
    if highest >= 0:
        lowest = max(lowest, 0)
    return lowest, min(highest, lowest + _SEEDS - 1)


def params_of(request: "BatchRequest", variant: Variant) -> dict[str, Json]:
    """The parameters of one variant's run."""
    name = request.endpoint.seed_param
    if name is None or variant.seed is None:
        return request.params
    return dict(sorted({**request.params, name: variant.seed}.items()))


def numbered(digest: str, variant: Variant) -> str:
    """The digest of a variant, by the digest of a run without variants."""
    return variant_digest(digest, variant.number, variant.seed)


def spread(
    first: NewImage, request: "BatchRequest", variants: Sequence[Variant], digests: Sequence[str]
) -> Iterator[NewImage]:
    """The images of an object's variants, which share its pictures; `first` is the image without variants."""
    if not variants:
        yield first
        return
    for variant, digest in zip(variants, digests, strict=True):
        further = variant.number > 1
        yield msgspec.structs.replace(
            first,
            image_id=secrets.token_hex(16) if further else first.image_id,
            views=first.views or (_view_of(first),) if further else first.views,
            digest=digest,
            variant=variant.number,
            seed=variant.seed,
            params=None if variant.seed is None else params_of(request, variant),
        )


def _view_of(first: NewImage) -> StoredView:
    """The picture of an image, named so that another image can use it."""
    return StoredView(
        file_id=first.image_id,
        filename=first.filename,
        size=first.size,
        sha256=first.sha256,
        width=first.width,
        height=first.height,
        format=first.format,
        addressed=bool(first.addressed),
    )
