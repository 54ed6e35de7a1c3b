"""A second step on a finished image: what it starts from is copied into a new job of one image.

The new job owns its files, so that each of the two can be deleted alone. Of a model that only FAL has
(`I2M_RESULTS=redirect`), the address is kept, and a worker fetches it from there.
"""

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.access import lookup
from image2model.domain import ModelInput, Preparation, ResultFile, StoredView
from image2model.errors import Expired, FalError, FalResultGone, NotReady
from image2model.fal.endpoints import Endpoint, SecondStep, second_step
from image2model.fal.errors import FalAddressRefused
from image2model.http.upload import ReceivedFile
from image2model.jobs.batch_request import Submission, read_fields
from image2model.jobs.digests import digest
from image2model.jobs.new_jobs import NewImage
from image2model.jobs.objects import ReceivedObject
from image2model.jobs.originals import Originals
from image2model.jobs.parent_models import choose_model
from image2model.jobs.step_request import StepRequest
from image2model.settings import Settings
from image2model.shielded import in_thread
from image2model.storage import layout
from image2model.storage.errors import ObjectMissing
from image2model.store.records import ImageRow

if TYPE_CHECKING:
    from image2model.access.principal import Principal

_PICTURE: Final = 0
_log: Final = structlog.stdlib.get_logger(__name__)


class StepSubmission(Submission, frozen=True, kw_only=True):
    """A second step that may become a job. `source` identifies the model that it starts from."""

    source: str
    sends_picture: bool

    def digests(self) -> dict[int, str]:
        """What makes two runs the same: the model, the picture where it is sent, endpoint and parameters."""
        (one,) = self.objects
        text = f"{self.source}\n{one.sha256 if self.sends_picture else ''}"
        return {
            one.index: digest(
                hashlib.sha256(text.encode()).hexdigest(),
                self.request.endpoint.id,
                self.request.params,
                owner=self.owner,
                dedupe=self.dedupe,
                no_cache=self.request.no_cache,
            )
        }


class StepOriginals(Originals):
    """What a second step starts from, stored for its job: a picture, and the model."""

    _parent = ("", "")
    _model: ModelInput | None = None

    async def copy_picture(self, job_id: str, row: ImageRow) -> ReceivedFile:
        """The parent's first picture. Raises NotReady, ObjectMissing, DiskFull, StorageError."""
        first: StoredView | ImageRow = row.views[0] if row.views else row
        file_id = row.views[0].file_id if row.views else row.image_id
        if first.size is None or first.sha256 is None or first.format is None:
            raise NotReady("The picture of this image has not been fetched.")
        picture = ReceivedFile(
            _PICTURE,
            first.filename,
            first.size,
            first.sha256,
            first.format,
            first.width or 0,
            first.height or 0,
            frames=first.frames,
        )
        key = self.claim(picture)
        # written anew, not linked: by its time housekeeping sees that this job is just being made
        await self.storage.put_stream(
            key,
            self.storage.stream(layout.original(job_id, file_id, picture.format)),
            content_type=f"image/{picture.format}",
            filename=picture.filename,
        )
        return picture

    async def copy_model(self, source_key: str, file_format: str) -> str:
        """Copy the model; its key. After the picture. Raises ObjectMissing, DiskFull, StorageError."""
        key = layout.parent_model(self.job_id, self.id_of(_PICTURE), file_format)
        self._extra.append(key)
        await self.storage.copy(source_key, key)
        return key

    def start_from(self, parent: tuple[str, str], model: ModelInput) -> None:
        """What the image's record says of its start: job and image, and the model."""
        self._parent, self._model = parent, model

    def image(
        self,
        received: ReceivedObject,
        digest: str,
        preparation: Preparation | None = None,
        cutout_digests: tuple[str, ...] = (),
    ) -> NewImage:
        """The image of the job."""
        job_id, image_id = self._parent
        return msgspec.structs.replace(
            super().image(received, digest, preparation, cutout_digests),
            parent_job_id=job_id,
            parent_image_id=image_id,
            model_input=self._model,
        )


async def read_step(
    redis: Redis,
    originals: StepOriginals,
    parent: tuple[str, ImageRow],
    request: StepRequest,
    endpoint: Endpoint,
    principal: "Principal",
    settings: Settings,
) -> StepSubmission:
    """The request as a submission, with its files stored.

    Raises InvalidParameter, PriceUnknown, BudgetExceeded, FileTooLarge, the picture's own problem, and
    Expired where a file of the parent is gone.
    """
    job_id, row = parent
    picture = request.picture
    options = read_fields(request.fields, endpoint, private_webhooks=settings.webhook_allow_private)
    step = second_step(endpoint, options.params, own_picture=picture is not None)
    file = choose_model(row, endpoint, step, request.fields.get("file"))
    if (refusal := options.refusal(1)) is not None:
        raise refusal
    grouped = picture is not None or bool(row.views)
    reuses = settings.dedupe != "off" and not options.no_cache
    try:
        if picture is None:
            picture = await originals.copy_picture(job_id, row)
        model, source = await _model(originals, file, step, settings, hashed=reuses)
    except ObjectMissing as missing:
        await lookup.access(redis, principal.owner, job_id)  # it may just have been deleted
        raise Expired("The files of this image are gone from the storage. Make the model again.") from missing
    originals.start_from((job_id, row.image_id), model)
    one = ReceivedObject(name=row.filename, views=(picture,), sides=("",), grouped=grouped)
    return StepSubmission(
        owner=principal.owner,
        allowance=principal.allowance,
        request=options,
        fingerprint=request.fingerprint(job_id, row.image_id),
        objects=(one,),
        rejected=(),
        unused=frozenset(),
        dedupe=settings.dedupe,
        ttl_ms=int(settings.job_ttl * 1000),
        source=source,
        sends_picture=step.picture is not None,
    )


async def _model(
    originals: StepOriginals, file: ResultFile, step: SecondStep, settings: Settings, *, hashed: bool
) -> tuple[ModelInput, str]:
    """What the step starts from, and what identifies it; empty where nothing is reused."""
    picture = step.picture is not None
    if file.key is None:
        url = file.source_url or ""
        size = await _size_at_fal(settings, url)
        model = ModelInput(format=file.format, size=size or file.size or 0, url=url, picture=picture)
        return model, f"url {url}"
    key = await originals.copy_model(file.key, file.format)
    size = (await originals.storage.head(key)).size
    model = ModelInput(format=file.format, size=size, key=key, picture=picture)
    return model, await _sha256(originals, key) if hashed else ""


async def _size_at_fal(settings: Settings, url: str) -> int | None:
    """The size of FAL's file, None where it is not known. Raises Expired where FAL has it no more."""
    from image2model.fal.alive import size_at_fal  # FAL's HTTP takes long to import

    try:
        return await size_at_fal(settings, url)
    except FalAddressRefused as refused:
        raise Expired(
            f"The model of this image cannot be fetched: {refused.message}. Make the model again."
        ) from refused
    except FalResultGone as gone:
        raise Expired(
            "FAL no longer has the model of this image, and this service keeps no copy "
            "(I2M_RESULTS=redirect). Make the model again."
        ) from gone
    except FalError as error:
        # the worker tries for longer, before anything is bought
        _log.info("parent_model_not_checked", reason=error.message)
        return None


async def _sha256(originals: StepOriginals, key: str) -> str:
    found = hashlib.sha256()
    async for chunk in originals.storage.stream(key):
        await in_thread(found.update, chunk)
    return found.hexdigest()
