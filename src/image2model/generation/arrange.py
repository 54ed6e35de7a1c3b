"""The last step before a model's run whose pictures are prepared: cropped, padded, stored as they are sent.

It costs nothing, and doing it again makes the same files. Where a client wants to look at them first, the
image then waits for the confirmation.
"""

from functools import partial
from typing import Final

import msgspec
import structlog

from image2model.domain import Preparation, PreparedPicture, ScaledPicture
from image2model.errors import DiskFull
from image2model.generation import phases
from image2model.generation.context import GenerationContext
from image2model.generation.loading import Task
from image2model.generation.phases import Awaited
from image2model.generation.pictures import (
    StoredPicture,
    decoded,
    limits_of,
    loaded,
    originals_of,
    scaled_picture,
)
from image2model.media.arrange_file import arrange_file
from image2model.storage import layout
from image2model.storage.errors import StorageError

_log: Final = structlog.get_logger(__name__)


class NotConfirmedYet(Exception):
    """Nothing was sent: the image waits for a client, and is not held any more."""


class CancelledMeanwhile(Exception):
    """Nothing was sent: a client has cancelled the image, which has ended."""


async def arrange_pictures(context: GenerationContext, task: Task, fence: str) -> Task:
    """The task with its pictures as they are sent.

    Raises NotConfirmedYet, CancelledMeanwhile, NoDiskSpace, ImageFailure, StaleFence, StorageError, and
    arq.Retry after a crash of the decoder.
    """
    if task.preparation is None or task.phase:
        return task
    if not task.preparation.files:
        await context.disk_space.check()
        made = await _arranged(context, task, fence, task.preparation)
        preparation = msgspec.structs.replace(task.preparation, files=tuple(file for file, _ in made))
        scaled = [one for _, one in made if one is not None]
        await phases.note_prepared(context.redis, task, fence, preparation, scaled)
        task = msgspec.structs.replace(task, preparation=preparation)
    if task.preparation is not None and task.preparation.awaits_confirmation:
        awaited = await phases.await_confirmation(context.redis, task, fence)
        if awaited is Awaited.WAITING:
            _log.info("awaiting_confirmation", image_id=task.image_id)
            raise NotConfirmedYet
        if awaited is Awaited.CANCELLED:
            raise CancelledMeanwhile
    return task


async def _arranged(
    context: GenerationContext, task: Task, fence: str, preparation: Preparation
) -> list[tuple[PreparedPicture, ScaledPicture | None]]:
    sources = originals_of(task)
    if preparation.remove_background is not None:
        sources = [
            msgspec.structs.replace(one, key=cutout.key, size=cutout.size)
            for one, cutout in zip(sources, preparation.cutouts, strict=True)
        ]
    return [await _one(context, task, fence, preparation, *source) for source in enumerate(sources)]


async def _one(
    context: GenerationContext,
    task: Task,
    fence: str,
    preparation: Preparation,
    index: int,
    source: StoredPicture,
) -> tuple[PreparedPicture, ScaledPicture | None]:
    limits = await limits_of(context, task)
    async with context.picture_bytes.hold(source.held(limits)):
        data = await loaded(context, source.key)
        call = partial(
            arrange_file,
            data,
            max_pixels=context.settings.max_pixels,
            crop=preparation.crop,
            pad_square=preparation.pad_square,
            limits=limits,
        )
        picture = await decoded(context, task, fence, data, call)
        key = layout.prepared(task.job_id, task.image_id, index, picture.suffix)
        try:
            await context.storage.put(key, picture.data, content_type=picture.content_type)
        except DiskFull as full:
            raise StorageError("the disk is full") from full
    file = PreparedPicture(
        key=key,
        format=picture.suffix,
        size=len(picture.data),
        width=picture.width,
        height=picture.height,
    )
    return file, scaled_picture(task, index, picture)
