"""New jobs: what they are made of, and the fields of their hashes as the scripts write them. Pure."""

from typing import Final

import msgspec

from image2model.domain import (
    FIRST_CUTOUT,
    Metadata,
    ModelInput,
    Preparation,
    RejectedFile,
    StoredView,
)
from image2model.fal.endpoints import Json
from image2model.jobs.metadata import comparison_token, tokens

_AS_JSON: Final = frozenset({"metadata", "views", "preparation", "model_input", "params"})


class NewImage(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted object. `views` is empty where it is a picture that nobody grouped.

    `source_key` is the storage object of its first picture; `format` is `png`, `jpeg` or `webp`. From `size`
    on they are None until its picture is fetched.
    """

    image_id: str
    filename: str
    size: int | None
    sha256: str | None
    width: int | None
    height: int | None
    format: str | None
    source_key: str | None
    digest: str = ""
    """What makes two runs the same: see `batch_request.digest`. Empty: never reused."""
    metadata: Metadata = {}
    views: tuple[StoredView, ...] = ()
    preparation: Preparation | None = None
    cutout_digests: tuple[str, ...] = ()
    """One for each view whose background is removed first, as `digest`."""
    parent_job_id: str = ""
    parent_image_id: str = ""
    model_input: ModelInput | None = None
    """What a second step starts from."""
    variant: int | None = None
    seed: int | None = None
    frames: int = 1
    """Pictures in the file of its first picture."""
    params: dict[str, Json] | None = None
    """Parameters of its own, in place of the job's."""
    fetch: str | None = None
    """The fetch that brings its pictures: see `fetches`. None: they are here."""
    addressed: bool | None = None
    """Whether its first picture came as an address."""


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted batch. `estimated_micro` is micro-dollars for all of it; `ttl_ms` counts from its end."""

    job_id: str
    owner: str
    model: str
    params: dict[str, object]
    images: tuple[NewImage, ...]
    rejected: tuple[RejectedFile, ...]
    low_priority: bool
    no_cache: bool
    webhook_url: str | None
    estimated_micro: int | None
    unit_micro: int = 0
    """Micro-dollars that are set aside for each image until it is final."""
    cutout_micro: int = 0
    """The same for each background that is removed for it."""
    max_cost_micro: int | None = None
    """The client's own limit for the whole batch, which a retry keeps."""
    ttl_ms: int
    traceparent: str = ""
    """The trace of the upload (W3C), which the runs of its images continue. Empty: none."""
    metadata: Metadata = {}
    comparison_id: str = ""

    @property
    def tokens(self) -> list[str]:
        """By which the store finds it: its comparison, its own metadata and its images'."""
        own = [comparison_token(self.comparison_id)] if self.comparison_id else []
        return [*own, *tokens(self.metadata, *(image.metadata for image in self.images))]

    @property
    def reserved_micro(self) -> int:
        """Micro-dollars that are set aside for all of it."""
        cutouts = sum(len(image.cutout_digests) for image in self.images)
        return self.unit_micro * len(self.images) + self.cutout_micro * cutouts

    @property
    def needs_newest(self) -> bool:
        """Whether processes of an earlier data version would run or show it wrongly."""
        return bool(self.comparison_id) or any(
            image.views or image.variant or image.preparation or image.model_input or image.fetch
            for image in self.images
        )


def packed(job: NewJob) -> tuple[object, ...]:
    """The job as the scripts that make it take it: see `make_job` in `store/lua/new_jobs.lua`."""
    return (
        job.job_id,
        _job_fields(job),
        [
            (image.image_id, _image_fields(image, job), job.cutout_micro * len(image.cutout_digests))
            for image in job.images
        ],
        job.low_priority,
        job.unit_micro,
        job.tokens,
    )


def _job_fields(job: NewJob) -> list[str | int]:
    return [
        "model",
        job.model,
        "params",
        as_json(job.params),
        "rejected",
        as_json(job.rejected) if job.rejected else "",
        "priority",
        "low" if job.low_priority else "normal",
        "no_cache",
        "1" if job.no_cache else "",
        "webhook_url",
        job.webhook_url or "",
        "estimated_micro",
        "" if job.estimated_micro is None else job.estimated_micro,
        "ttl_ms",
        job.ttl_ms,
        *(("max_cost_micro", job.max_cost_micro) if job.max_cost_micro is not None else ()),
        *(("traceparent", job.traceparent) if job.traceparent else ()),
        *(("metadata", as_json(job.metadata)) if job.metadata else ()),
        *(("metadata_tokens", " ".join(job.tokens)) if job.tokens else ()),
        *(("prepared", "1") if any(image.preparation for image in job.images) else ()),
        *(("comparison_id", job.comparison_id) if job.comparison_id else ()),
        *(("fetched", "1") if any(image.fetch for image in job.images) else ()),
    ]


def _image_fields(image: NewImage, job: NewJob) -> list[str | int]:
    fields: list[str | int] = []
    for name, value in msgspec.structs.asdict(image).items():
        if value is None or name == "cutout_digests":
            continue
        if isinstance(value, bool):
            value = int(value)
        if name not in _AS_JSON:
            fields += [name, value]
        elif value:
            fields += [name, as_json(value)]
    return [*fields, *_phase_fields(image, job)]


def _phase_fields(image: NewImage, job: NewJob) -> list[str | int]:
    """The first phase of an image whose backgrounds are removed: what it buys now, and what comes later."""
    digests = image.cutout_digests
    if image.preparation is None or image.preparation.remove_background is None:
        return []
    return [
        "phase",
        FIRST_CUTOUT,
        "phase_model",
        image.preparation.remove_background,
        "digest",
        digests[0],
        "main_digest",
        image.digest,
        "cutout_digests",
        " ".join(digests),
        "cutout_micro",
        job.cutout_micro,
        "main_micro",
        job.unit_micro,
        "later_micro",
        job.unit_micro + job.cutout_micro * (len(digests) - 1),
    ]


def as_json(value: object) -> str:
    """A value as it stands in a field of a hash."""
    return msgspec.json.encode(value).decode()
