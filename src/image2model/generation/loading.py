"""What a worker needs to know about one image, read in one call."""

from collections.abc import Mapping
from typing import Final, cast

import msgspec
from redis.asyncio import Redis

from image2model.domain import FalRequest, ImageStatus, ModelInput, Preparation, ScaledPicture, StoredView
from image2model.errors import StaleFence
from image2model.fal.endpoints import Params
from image2model.storage.layout import ResultNames
from image2model.store.data_versions import made_in
from image2model.store.scripts import Script

_LOAD: Final = Script("generation/load_image")


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a worker needs to know about one image to continue with it.

    Times are in ms by the store's clock, `size` is in bytes. Texts are empty when not set. `model`, `params`
    and `digest` are those of the next request: in a `phase` of the preparation, of the remover's.
    `main_model` is the job's.
    """

    image_id: str
    job_id: str
    owner: str
    status: ImageStatus
    model: str
    main_model: str
    params: Params
    priority: str
    filename: str
    format: str
    size: int
    source_key: str
    views: tuple[StoredView, ...]
    """The pictures of an object; empty where it is a picture that nobody grouped."""
    model_input: ModelInput | None
    """The model that a second step starts from."""
    attempt: int
    attempts_used: int
    attempt_token: str
    intent_url: str
    posting_at: int
    submitted_at: int
    running_at: int
    timed_out: bool
    created_at: int
    start_tries: int
    cancel_requested: bool
    digest: str
    reuse_of: str
    phase: str
    preparation: Preparation | None
    main_digest: str
    cutout_digests: tuple[str, ...]
    reuse_main: bool
    """Whether `reuse_of` has the model of this image, not only the cut-out of its phase."""
    hazard_deaths: int
    crashes: int
    traceparent: str
    fetch: str
    """The fetch of its pictures, which are not here. Empty: they are."""
    request: FalRequest | None
    loaded_at: int
    flat_results: bool
    pixels: int = 0
    """Of its first picture."""
    scaled: tuple[ScaledPicture, ...] = ()

    @property
    def result_names(self) -> ResultNames:
        """How the files of its result are named."""
        return ResultNames(self.job_id, self.image_id, self.flat_results)


_params: Final = msgspec.json.Decoder(dict[str, object])
_views: Final = msgspec.json.Decoder(tuple[StoredView, ...])
_model_input: Final = msgspec.json.Decoder(ModelInput)
_scaled: Final = msgspec.json.Decoder(tuple[ScaledPicture, ...])
_preparation: Final = msgspec.json.Decoder(Preparation)
_JOB: Final = ("model", "params", "priority", "traceparent", "store")
_IMAGE: Final = (
    "job_id",
    "owner",
    "status",
    "params",
    "filename",
    "format",
    "size",
    "source_key",
    "views",
    "model_input",
    "attempt",
    "attempts_used",
    "attempt_token",
    "intent_url",
    "posting_at",
    "submitted_at",
    "running_at",
    "timed_out",
    "created_at",
    "start_tries",
    "cancel_requested",
    "digest",
    "reuse_of",
    "phase",
    "phase_model",
    "preparation",
    "main_digest",
    "cutout_digests",
    "reuse_main",
    "hazard_deaths",
    "crashes",
    "fetch",
    "request_id",
    "status_url",
    "response_url",
    "cancel_url",
    "requests_url",
    "scaled",
    "width",
    "height",
)


async def load(redis: Redis, image_id: str) -> Task:
    """Read an image and the fields of its job that it needs. Raises StaleFence if it no longer exists."""
    of_image, of_job, now = await _LOAD.packed(redis, image_id, _IMAGE, _JOB)
    image = dict(zip(_IMAGE, _as_texts(of_image), strict=True))
    if not image["job_id"]:
        raise StaleFence(f"image {image_id} does not exist")
    model, params, priority, traceparent, store = _as_texts(of_job)
    return Task(
        image_id=image_id,
        job_id=image["job_id"],
        owner=image["owner"],
        status=ImageStatus(image["status"]),
        model=image["phase_model"] or model,
        main_model=model,
        params=_params_of(image["phase"], image["params"] or params),
        priority=priority,
        filename=image["filename"],
        format=image["format"],
        size=int(image["size"] or 0),
        source_key=image["source_key"],
        views=_views.decode(image["views"]) if image["views"] else (),
        model_input=_model_input.decode(image["model_input"]) if image["model_input"] else None,
        attempt=int(image["attempt"] or 1),
        attempts_used=int(image["attempts_used"] or 0),
        attempt_token=image["attempt_token"],
        intent_url=image["intent_url"],
        posting_at=int(image["posting_at"] or 0),
        submitted_at=int(image["submitted_at"] or 0),
        running_at=int(image["running_at"] or 0),
        timed_out=image["timed_out"] == "1",
        created_at=int(image["created_at"]),
        start_tries=int(image["start_tries"] or 0),
        cancel_requested=image["cancel_requested"] == "1",
        digest=image["digest"],
        reuse_of=image["reuse_of"],
        phase=image["phase"],
        preparation=_preparation.decode(image["preparation"]) if image["preparation"] else None,
        main_digest=image["main_digest"],
        cutout_digests=tuple(image["cutout_digests"].split(" ")),
        reuse_main=image["reuse_main"] == "1",
        hazard_deaths=int(image["hazard_deaths"] or 0),
        crashes=int(image["crashes"] or 0),
        traceparent=traceparent,
        fetch=image["fetch"],
        request=_request(image),
        loaded_at=int(now),
        flat_results=made_in(store).flat_results,
        pixels=int(image["width"] or 0) * int(image["height"] or 0),
        scaled=_scaled.decode(image["scaled"]) if image["scaled"] else (),
    )


def _request(image: Mapping[str, str]) -> FalRequest | None:
    """FAL's request; its addresses follow from its id and `requests_url` where that is known."""
    request_id = image["request_id"]
    if not request_id:
        return None
    if not image["requests_url"]:
        return FalRequest(request_id, image["status_url"], image["response_url"], image["cancel_url"])
    response_url = f"{image['requests_url']}/{request_id}"
    return FalRequest(request_id, f"{response_url}/status", response_url, f"{response_url}/cancel")


def _params_of(phase: str, params: str) -> Params:
    """The parameters of the model's run, validated at the upload; a remover gets none."""
    return cast("Params", {} if phase else _params.decode(params or "{}"))


def _as_texts(values: list[bytes | None]) -> list[str]:
    return [value.decode() if value else "" for value in values]
