"""What a client requests with a batch: the form's fields, checked and made canonical, and the pictures.

Pure. Raises InvalidParameter with what to do instead, PriceUnknown, BudgetExceeded, and the files' own
problems.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from image2model.access.accounts import Allowance
from image2model.access.principal import Principal
from image2model.domain import Metadata, RejectedFile
from image2model.errors import BudgetExceeded, FileFault, InvalidParameter, PriceUnknown, Problem
from image2model.fal.endpoints import Endpoint, Json, check_views, normalise
from image2model.http.upload import Place, ReceivedBatch
from image2model.http.upload.fields import read_choice, read_flag
from image2model.http.upload.reader import MANIFEST
from image2model.jobs.digests import digest
from image2model.jobs.manifest import read_manifest
from image2model.jobs.metadata import read_metadata
from image2model.jobs.objects import Objects, ReceivedObject, read_objects
from image2model.jobs.preparation import Preparing, read_preparation
from image2model.jobs.variants import Variant, numbered, params_of, read_variants
from image2model.money import to_micro, to_usd
from image2model.network.public_addresses import url_problem
from image2model.settings import Settings

_FACES: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_DOLLARS: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?", re.ASCII)
_params: Final = msgspec.json.Decoder(dict[str, object])


class BatchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A batch without its pictures. `skip_invalid`: bad files are left out instead of refusing all."""

    endpoint: Endpoint
    params: dict[str, Json]
    max_cost_micro: int | None
    """The most that the whole batch may cost, in micro-dollars; None: no limit of its own."""
    low_priority: bool
    no_cache: bool
    webhook_url: str | None
    skip_invalid: bool
    metadata: Metadata
    preparing: Preparing | None = None
    variants: int | None = None
    """How many models are made of each object; None: one, as it comes."""

    def images(self, objects: int) -> int:
        """How many images so many objects make."""
        return objects * (self.variants or 1)

    def cutouts(self, objects: Sequence[ReceivedObject], *, dedupe: str) -> int:
        """How many backgrounds are removed for these. Variants share them, unless nothing is reused."""
        views = 0 if self.preparing is None else self.preparing.cutouts(objects)
        return views if dedupe != "off" and not self.no_cache else self.images(views)

    def estimate(self, images: int, cutouts: int = 0) -> int | None:
        """Micro-dollars for so many images by the price list; None where only the run shows it.

        Here and below `cutouts` is how many backgrounds are removed for them.
        """
        each, cutout = self.endpoint.price(self.params), self.cutout_price
        if each is None or (cutout is None and cutouts):
            return None
        return each * images + (cutout or 0) * cutouts

    def reservation(self, images: int, cutouts: int = 0) -> int:
        """Micro-dollars that a budget sets aside for the model of each of so many images.

        The price. Where it is not known: the client's `max_cost_usd` in equal shares, else what FAL lists for
        one unit.
        """
        if self.max_cost_micro is not None and self.endpoint.price(self.params) is None:
            left = self.max_cost_micro - cutouts * self.cutout_reservation(images, cutouts)
            return max(0, left) // max(1, images)
        return self.endpoint.reservation(self.params)

    def cutout_reservation(self, images: int, cutouts: int) -> int:
        """The same for one background that is removed. Where neither price is known, all shares are equal."""
        if not cutouts or self.preparing is None:
            return 0
        if self.max_cost_micro is not None and self.cutout_price is None:
            each = self.endpoint.price(self.params)
            left, shares = self.max_cost_micro, cutouts
            if each is None:
                shares += images
            else:
                left -= each * images
            return max(0, left) // shares
        return self.preparing.reservation()

    @property
    def cutout_price(self) -> int | None:
        """Micro-dollars for one background that is removed; None where only the run shows it."""
        return 0 if self.preparing is None else self.preparing.price()

    def refusal(self, images: int, cutouts: int = 0) -> Problem | None:
        """Why so many images cannot be bought under this request; None where they can."""
        each = self.endpoint.reservation(self.params)
        remover = self.preparing.remover if self.preparing is not None and cutouts else None
        if remover is not None and self.max_cost_micro is None and not remover.reservation({}):
            return PriceUnknown(
                f"Nobody can say before the run what {remover.id} costs: {remover.price_note}. Give "
                "`max_cost_usd`, the most that all pictures of this request may cost."
            )
        if not each and self.max_cost_micro is None and self.endpoint.price(self.params) is None:
            return PriceUnknown(
                f"Nobody can say before the run what {self.endpoint.id} costs with these parameters: "
                f"{self.endpoint.price_note}. Give `max_cost_usd`, the most that all pictures of this "
                "request may cost; it is set aside until they have ended."
            )
        micro = each * images + (remover.reservation({}) * cutouts if remover is not None else 0)
        if self.max_cost_micro is not None and micro > self.max_cost_micro:
            return over_limit(images, micro, self.max_cost_micro, many=self.variants is not None)
        return None


def over_limit(images: int, micro: int, limit: int, *, many: bool) -> BudgetExceeded:
    """The refusal of images that cost more than `max_cost_usd`; `many`: several of one picture."""
    what, fewer = ("models", "Make fewer of them") if many else ("pictures", "Send fewer pictures")
    return BudgetExceeded(
        f"{images} {what} would cost ${to_usd(micro):.2f}, which is more than the `max_cost_usd` of "
        f"${to_usd(limit):.2f}. {fewer}, or raise it."
    )


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that was read to its end and may become a job.

    `fingerprint` is that of the form. `dedupe` is `I2M_DEDUPE`; `ttl_ms` counts from the job's end.
    """

    owner: str
    allowance: Allowance | None
    request: BatchRequest
    fingerprint: str
    objects: Sequence[ReceivedObject]
    rejected: tuple[RejectedFile, ...]
    unused: frozenset[int]
    """Indices of stored files that no object uses."""
    dedupe: str
    ttl_ms: int

    @property
    def cutouts(self) -> int:
        """How many backgrounds are removed."""
        return self.request.cutouts(self.objects, dedupe=self.dedupe)

    @property
    def reserved_cutouts(self) -> int:
        """For how many a budget sets money aside: for each variant, as any of them may run first."""
        return self.request.cutouts(self.objects, dedupe="off")

    def cutout_digests(self, received: ReceivedObject) -> tuple[str, ...]:
        """What makes two cut-outs the same, for each view of an object whose background is removed."""
        return cutout_digests(self.request, received, owner=self.owner, dedupe=self.dedupe)

    def digests(self) -> dict[int, str]:
        """What makes two runs the same, for each object by its index."""
        return digests(self.request, self.objects, owner=self.owner, dedupe=self.dedupe)

    def digest_of(self, received: ReceivedObject, variant: Variant) -> str:
        """The same for one variant of an object."""
        request = msgspec.structs.replace(self.request, params=params_of(self.request, variant))
        alone = msgspec.structs.replace(self, request=request, objects=(received,))
        return numbered(alone.digests()[received.index], variant)


def fingerprint(batch: ReceivedBatch) -> str:
    """The same for the same form: the fields, (index, file name, SHA-256, address or code, place) of each
    file, and the models where there are several.

    It follows from the form alone: whether the model is still on offer, and at what price, must not change
    the answer to a request that was accepted. Without `max_cost_usd`: what was accepted under one limit is
    not bought again under another.
    """
    good = [(one.index, one.filename, one.sha256, *_place(one.place)) for one in batch.files]
    good += [(one.index, one.filename, one.address.url, *_place(one.place)) for one in batch.addressed]
    bad = [(one.index, one.fault.file, one.fault.code, *_place(one.place)) for one in batch.bad]
    fields = {name: value for name, value in batch.fields.items() if name != "max_cost_usd"}
    compared = [batch.models] if len(batch.models) > 1 else []
    text = msgspec.json.encode([sorted(fields.items()), sorted([*good, *bad]), *compared])
    return hashlib.sha256(text).hexdigest()


def _place(place: Place) -> tuple[str, ...]:
    return (place.object, place.side) if place.object else ()


def read_submission(
    batch: ReceivedBatch,
    endpoint: Endpoint,
    principal: Principal,
    settings: Settings,
    remover: Endpoint | None = None,
) -> Submission:
    """The batch as a submission. Raises the problem for which it is refused."""
    private = settings.webhook_allow_private
    request = read_fields(batch.fields, endpoint, private_webhooks=private, remover=remover)
    return submission_of(batch, request, principal, settings)


def submission_of(
    batch: ReceivedBatch, request: BatchRequest, principal: Principal, settings: Settings
) -> Submission:
    """The same for a request that was read. Raises the problem for which it is refused."""
    objects = objects_of(batch, settings.max_files)
    if not request.skip_invalid or not objects.good:
        batch.refuse_bad()
    check_objects(request, objects)
    submission = Submission(
        owner=principal.owner,
        allowance=principal.allowance,
        request=request,
        fingerprint=fingerprint(batch),
        objects=objects.good,
        rejected=tuple(one.rejected for one in objects.bad),
        unused=objects.unused,
        dedupe=settings.dedupe,
        ttl_ms=int(settings.job_ttl * 1000),
    )
    images = request.images(len(objects.good))
    if (refusal := request.refusal(images, submission.cutouts)) is not None:
        raise refusal
    return submission


def objects_of(batch: ReceivedBatch, most: int) -> Objects:
    """The objects of a form, at most so many. Raises InvalidParameter, TooManyFiles."""
    manifest = read_manifest(batch.fields.get(MANIFEST, ""), batch.count)
    return read_objects(batch, manifest, most)


def check_objects(request: BatchRequest, objects: Objects) -> None:
    """Raises InvalidParameter where the endpoint does not take one of them; its `errors` name each."""
    problems: dict[str, InvalidParameter] = {}
    for one in objects.good:
        try:
            check_views(request.endpoint, one.name, one.sides, request.params)
        except InvalidParameter as problem:
            problems.setdefault(one.name, problem)
    if problems:
        faults = [FileFault(name, problem.code, problem.detail) for name, problem in problems.items()]
        raise InvalidParameter(next(iter(problems.values())).detail, errors=faults)


def read_fields(
    fields: Mapping[str, str],
    endpoint: Endpoint,
    *,
    private_webhooks: bool,
    remover: Endpoint | None = None,
) -> BatchRequest:
    """Read the form's fields and check them, for the endpoint of its `model`, and the `remover` of its
    `remove_background`. Raises InvalidParameter.
    """
    preparation = read_preparation(fields)
    face_limit = _face_limit(fields.get("face_limit"))
    strict = read_flag(fields, "params_strict", default=True)
    params = normalise(endpoint, read_params(fields.get("params", "{}")), face_limit, strict=strict)
    webhook_url = fields.get("webhook_url")
    if webhook_url is not None:
        check_webhook_url(webhook_url, allow_private=private_webhooks)
    return BatchRequest(
        endpoint=endpoint,
        params=params,
        max_cost_micro=_max_cost(fields.get("max_cost_usd")),
        low_priority=read_choice(fields, "priority", {"normal": False, "low": True}),
        no_cache=read_flag(fields, "no_cache"),
        webhook_url=webhook_url,
        skip_invalid=read_choice(fields, "on_invalid", {"reject": False, "skip": True}),
        metadata=read_metadata(fields.get("metadata", "")),
        preparing=None if preparation is None else Preparing(wanted=preparation, remover=remover),
        variants=read_variants(fields),
    )


def _face_limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not _FACES.fullmatch(text):
        raise InvalidParameter(f"`face_limit` must be a positive whole number, not {text[:32]!r}.")
    return int(text)


def _max_cost(text: str | None) -> int | None:
    if text is None:
        return None
    if not _DOLLARS.fullmatch(text) or not to_micro(text):
        raise InvalidParameter(f"`max_cost_usd` must be a positive number of dollars, not {text[:32]!r}.")
    return to_micro(text)


def read_params(text: str) -> dict[str, object]:
    """The form's `params`. Raises InvalidParameter where it is no JSON object."""
    try:
        return _params.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidParameter(
            f'`params` must be a JSON object such as {{"texture": "HD"}}: {str(error)[:200]}'
        ) from error


def check_webhook_url(url: str, *, allow_private: bool) -> None:
    """Raises InvalidParameter unless the address may be called: see `network.public_addresses`.

    `allow_private` admits http and private addresses too.
    """
    why = url_problem(url, allow_private=allow_private)
    if why is not None:
        raise InvalidParameter(f"`webhook_url` {why}")


def cutout_digests(
    request: BatchRequest, received: ReceivedObject, *, owner: str, dedupe: str
) -> tuple[str, ...]:
    """What makes two cut-outs the same, for each view of an object whose background is removed."""
    if request.preparing is None:
        return ()
    no_cache = request.no_cache
    return request.preparing.digests(received, owner=owner, dedupe=dedupe, no_cache=no_cache)


def digests(
    request: BatchRequest, objects: Sequence[ReceivedObject], *, owner: str, dedupe: str
) -> dict[int, str]:
    """Each object's `digest`, by its index in the batch."""
    return {
        one.index: digest(
            one.sha256,
            request.endpoint.id,
            request.params,
            owner=owner,
            dedupe=dedupe,
            no_cache=request.no_cache,
            terms=() if request.preparing is None else request.preparing.wanted.terms,
        )
        for one in objects
    }
