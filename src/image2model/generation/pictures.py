"""From an image's stored pictures to their URLs at FAL: each is decoded, made upright and uploaded.

A picture may end the process that decodes it, so it is decoded as `suspects` says.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Final

import msgspec
import structlog
from arq.worker import Retry

from image2model.decoding.memory import decoding_bytes
from image2model.decoding.pool import is_isolated
from image2model.decoding.process import DecoderDied
from image2model.domain import ImageStatus, PictureLimits, ScaledPicture
from image2model.errors import ImageFailure, UnknownModel
from image2model.fal.endpoints import View
from image2model.generation import steps
from image2model.generation.context import GenerationContext
from image2model.generation.loading import Task
from image2model.generation.phases import cutout_index
from image2model.generation.suspects import Suspect
from image2model.media.fitting import NO_LIMITS
from image2model.media.preflight import Prepared, prepare
from image2model.queue.leases import MAX_CRASHES
from image2model.queue.probes import check_endpoint
from image2model.shielded import in_thread
from image2model.storage import layout
from image2model.storage.errors import ObjectMissing
from image2model.store.scripts import WORKER_CRASHED
from image2model.telemetry import tracing

_log: Final = structlog.get_logger(__name__)

_SENT_BYTES: Final = 1
"""What a pixel takes in the file that is sent: a photo as JPEG less, noise more."""
_SMALL: Final = 256 << 10
"""Bytes of a picture whose structure is read here, in less than the way into a thread and back takes."""
_FIRST_GAP_S: Final = 1.0
"""Between the first two tries of a picture that ends its decoder process; each gap is twice the last."""


class StoredPicture(msgspec.Struct, frozen=True):
    """One picture of an image in our storage; `size` is that of the uploaded one, in bytes."""

    key: str
    file_id: str
    size: int
    pixels: int
    side: str = ""

    def held(self, limits: PictureLimits) -> int:
        """About how many bytes its file takes with the one that is made of it to be sent."""
        most = self.size if limits.max_bytes is None else limits.max_bytes
        pixels = min(self.pixels, limits.max_pixels or self.pixels)
        if limits.max_width is not None and limits.max_height is not None:
            pixels = min(pixels, limits.max_width * limits.max_height)
        return self.size + max(self.size, min(most, _SENT_BYTES * pixels))


def originals_of(task: Task) -> list[StoredPicture]:
    """The pictures as they were uploaded, in the order in which FAL gets them."""
    return [
        StoredPicture(
            layout.original(task.job_id, one.file_id, one.format or ""),
            one.file_id,
            one.size or 0,
            (one.width or 0) * (one.height or 0),
            one.side,
        )
        for one in task.views
    ] or [StoredPicture(task.source_key, task.image_id, task.size, task.pixels)]


def _sends_originals(task: Task) -> bool:
    """Whether the next request gets the pictures as they were uploaded, and not those that are prepared."""
    return bool(task.phase) or task.preparation is None or not task.preparation.files


def _to_send(task: Task) -> list[tuple[int, StoredPicture]]:
    """The pictures of the next request with their index among all views: in a phase the view that is cut out,
    then the prepared ones.
    """
    originals = originals_of(task)
    if task.phase:
        return [(cutout_index(task), originals[cutout_index(task)])]
    files = task.preparation.files if task.preparation is not None else ()
    if not files:
        return list(enumerate(originals))
    prepared = [
        StoredPicture(file.key, one.file_id, max(one.size, file.size), file.width * file.height, one.side)
        for one, file in zip(originals, files, strict=True)
    ]
    return list(enumerate(prepared))


async def upload_pictures(
    context: GenerationContext, task: Task, fence: str
) -> tuple[list[View], bytes | None]:
    """The prepared pictures at FAL, and the thumbnail of the first where its preparation made one.

    Nothing else is kept, because a permit may take long. Raises FalError, ImageFailure, StaleFence, and
    arq.Retry after a crash of the decoder.
    """
    limits = await limits_of(context, task)
    views: list[View] = []
    thumbnails: list[bytes | None] = []
    scaled: list[ScaledPicture] = []
    # a suspect waits before it holds any bytes, which healthy pictures need
    async with context.suspects if task.hazard_deaths else nullcontext():
        for index, one in _to_send(task):
            async with context.picture_bytes.hold(one.held(limits)):
                with tracing.span("prepare"):
                    prepared = await _prepare(context, task, fence, one.key, limits)
                url = await context.fal.upload(
                    prepared.data,
                    filename=f"{one.file_id}.{prepared.suffix}",
                    content_type=prepared.content_type,
                )
            views.append(View(url, one.side))
            thumbnails.append(prepared.thumbnail)
            if (smaller := scaled_picture(task, index, prepared)) is not None:
                scaled.append(smaller)
    sent = {index for index, _ in _to_send(task)}
    if _sends_originals(task) and (fields := steps.scaled_fields(task, sent, scaled)):
        await steps.move(context.redis, task.image_id, fence, ImageStatus.PREPARING, *fields)
    return views, thumbnails[0]


async def limits_of(context: GenerationContext, task: Task) -> PictureLimits:
    """How large a picture the next request's endpoint takes. Raises ImageFailure where nobody knows it."""
    try:
        return (await context.catalogue.find(task.model)).picture_limits
    except UnknownModel as unknown:
        raise ImageFailure("generation_failed", unknown.detail, retryable=True) from unknown


def scaled_picture(task: Task, index: int, prepared: Prepared) -> ScaledPicture | None:
    """What is noted of a picture that is sent smaller than it was; None where it is not."""
    if not prepared.is_scaled:
        return None
    width, height = prepared.whole
    return ScaledPicture(
        model=task.model,
        view=index,
        from_width=width,
        from_height=height,
        width=prepared.width,
        height=prepared.height,
    )


async def _prepare(
    context: GenerationContext, task: Task, fence: str, key: str, limits: PictureLimits
) -> Prepared:
    await check_endpoint(context, task.image_id, task.model)
    data = await loaded(context, key)
    call = partial(prepare, data, max_pixels=context.settings.max_pixels, limits=limits)
    async with nullcontext() if task.hazard_deaths else context.preparing:
        await check_endpoint(context, task.image_id, task.model)  # the wait may have been long
        return await _decoded(context, task, fence, data, call, limits)


async def loaded(context: GenerationContext, key: str) -> bytes:
    """A picture from the storage. Raises ImageFailure if it is gone, StorageError."""
    try:
        return await context.storage.get(key)
    except ObjectMissing as missing:
        raise ImageFailure(
            "storage_failed",
            "The uploaded picture is gone from the storage; upload it again.",
            retryable=False,
        ) from missing


async def decoded(
    context: GenerationContext, task: Task, fence: str, data: bytes, call: Callable[[], Prepared]
) -> Prepared:
    """What `call` makes of the whole picture `data`, run as `suspects` says.

    Raises ImageFailure, StaleFence, arq.Retry after a crash.
    """
    async with nullcontext() if task.hazard_deaths else context.preparing:
        return await _decoded(context, task, fence, data, call, NO_LIMITS)


async def _decoded(
    context: GenerationContext,
    task: Task,
    fence: str,
    data: bytes,
    call: Callable[[], Prepared],
    limits: PictureLimits,
) -> Prepared:
    """`limits`: those within which `call` makes it fit while it decodes."""
    size = (
        decoding_bytes(data, limits) if len(data) <= _SMALL else await in_thread(decoding_bytes, data, limits)
    )
    try:
        async with context.decoded_bytes.hold(size):
            if is_isolated(data):
                return await context.decoders.run(call)
            return await context.hazard.run(Suspect.of(task, fence), call)
    except DecoderDied as died:
        raise await _crashed(context, task, fence, died) from died


async def _crashed(context: GenerationContext, task: Task, fence: str, died: DecoderDied) -> Exception:
    """The picture has ended the process in which it was alone: try it later, unless this was the last try."""
    crashes = await steps.note_crash(context.redis, task.image_id, fence)
    _log.error("decoder_died", image_id=task.image_id, crashes=crashes, reason=str(died))
    if crashes < MAX_CRASHES:
        return Retry(defer=_FIRST_GAP_S * 2 ** (crashes - 1))
    error = WORKER_CRASHED
    return ImageFailure(error.code, error.message, retryable=error.retryable)
