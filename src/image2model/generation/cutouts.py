"""One view without its background: FAL's result of a phase becomes a picture of ours, and the phase ends.

Like a model it is paid for, so nothing here buys it anew: what fails is tried again with the same request. A
cut-out that another image has is copied inside the storage.
"""

import asyncio
import time
from functools import partial
from itertools import count
from typing import Final

import msgspec
import structlog

from image2model.domain import Cutout, FalRequest, Preparation
from image2model.errors import DiskFull, FalResultGone, ImageFailure
from image2model.fal.errors import FalAddressRefused, FalUnreachable
from image2model.fal.files import FalFile
from image2model.generation import phases
from image2model.generation.collect import no_file, paid_result
from image2model.generation.context import GenerationContext
from image2model.generation.loading import Task
from image2model.generation.phases import Advanced, cutout_index
from image2model.generation.pictures import decoded
from image2model.media.preflight import Prepared, prepare
from image2model.queue.retry import full_jitter
from image2model.storage import layout
from image2model.storage.errors import ObjectMissing, StorageError

_log: Final = structlog.get_logger(__name__)

_MOST_BYTES: Final = 128 << 20
"""A larger file is no picture that a model would take."""
_USUAL_BYTES: Final = 16 << 20
"""Held where FAL does not say how large it is."""
_COPIES: Final = 2
"""The cut-out as FAL has it, and as it is stored."""


async def collect_cutout(context: GenerationContext, task: Task, fence: str, request: FalRequest) -> Advanced:
    """Book the request, store its cut-out, and end the phase.

    Raises FalError as the gateway does, ImageFailure, StaleFence, and arq.Retry after a crash of the decoder.
    """
    found = await paid_result(context, task, request)
    if found.cutout is None:
        raise await no_file(context, task, request, found, "picture")
    key, size = await _Fetching(context, task, fence, found.cutout).run()
    cost = await phases.cost_so_far(context.redis, task.image_id)
    made = Cutout(key=key, size=size, digest=task.digest, request_id=request.request_id)
    advanced = await phases.advance(context.redis, task, fence, _with(task, made, cost))
    _log.info("cutout_stored", image_id=task.image_id, phase=task.phase, fal_request_id=request.request_id)
    return advanced


async def reuse_cutout(context: GenerationContext, task: Task, fence: str) -> Advanced | None:
    """Copy another image's cut-out and end the phase; None if it is gone. Raises StaleFence, StorageError."""
    source = await phases.preparation_of(context.redis, task.reuse_of)
    cutouts = () if source is None else source.cutouts
    found = next((one for one in cutouts if one.digest == task.digest), None)
    if found is None:
        return None
    ext = found.key.rpartition(".")[2]
    key = layout.cutout(task.job_id, task.image_id, cutout_index(task), ext)
    try:
        await context.storage.copy(found.key, key)
    except ObjectMissing:
        return None
    made = Cutout(key=key, size=found.size, digest=task.digest)
    cost = await phases.cost_so_far(context.redis, task.image_id)
    advanced = await phases.advance(context.redis, task, fence, _with(task, made, cost))
    _log.info("cutout_reused", image_id=task.image_id, phase=task.phase, source=task.reuse_of)
    return advanced


def _with(task: Task, made: Cutout, cost_micro: int) -> Preparation:
    before = task.preparation or Preparation()
    # one that is there already is from before a repetition
    cutouts = (*before.cutouts[: cutout_index(task)], made)
    return msgspec.structs.replace(before, cutouts=cutouts, cost_micro=cost_micro)


class _Unreadable(Exception):
    """The file came whole and is no picture: perhaps a host's passing error."""


class _Fetching:
    """One cut-out on its way into our storage, for as long as FAL may have it."""

    def __init__(self, context: GenerationContext, task: Task, fence: str, file: FalFile) -> None:
        self._context = context
        self._task = task
        self._fence = fence
        self._file = file

    async def run(self) -> tuple[str, int]:
        """The key of the stored picture, and its bytes. Raises as `collect_cutout`."""
        patience = self._context.patience
        began = time.monotonic()
        denied_at: float | None = None
        for tries in count(1):
            try:
                return await self._once()
            except _Unreadable as error:
                if tries >= patience.cut_tries:
                    raise self._unusable(str(error)) from error
                reason, until, code = str(error), began + patience.model, "result_invalid"
            except FalAddressRefused as error:
                raise self._unusable(f"it must not be fetched: {error}") from error
            except FalResultGone as error:
                denied_at = time.monotonic() if denied_at is None else denied_at
                reason, until, code = str(error), denied_at + patience.grace, "result_expired"
            except FalUnreachable as error:
                reason, until, code = str(error), began + patience.model, "result_expired"
            except StorageError as error:
                reason, until, code = str(error), began + patience.model, "storage_failed"
            if time.monotonic() >= until:
                text = f"The picture without its background could not be stored: {reason}."
                raise ImageFailure(code, text, retryable=True)
            _log.warning("cutout_not_fetched_yet", image_id=self._task.image_id, reason=reason, tries=tries)
            await asyncio.sleep(full_jitter(tries, cap_s=patience.longest_pause))
        raise AssertionError("unreachable: the loop has no end")

    async def _once(self) -> tuple[str, int]:
        size = min(self._file.file_size or _USUAL_BYTES, _MOST_BYTES)
        async with self._context.result_bytes.hold(_COPIES * size):
            # models that are fetched need not wait for the decoder
            async with self._context.fetches:
                data = await self._read()
            return await self._store(await self._checked(data))

    async def _read(self) -> bytes:
        data = bytearray()
        async with self._context.fal.download(self._file.url) as download:
            async for chunk in download.chunks():
                data += chunk
                if len(data) > _MOST_BYTES:
                    raise self._unusable(f"it has more than {_MOST_BYTES:,} bytes")
        return bytes(data)

    async def _checked(self, data: bytes) -> Prepared:
        call = partial(prepare, data, max_pixels=self._context.settings.max_pixels)
        try:
            return await decoded(self._context, self._task, self._fence, data, call)
        except ImageFailure as failure:
            if failure.code != "image_unreadable":
                raise
            raise _Unreadable(failure.message) from failure

    async def _store(self, picture: Prepared) -> tuple[str, int]:
        task = self._task
        key = layout.cutout(task.job_id, task.image_id, cutout_index(task), picture.suffix)
        await self._context.disk_space.check_result(len(picture.data))
        try:
            await self._context.storage.put(key, picture.data, content_type=picture.content_type)
        except DiskFull as full:
            raise StorageError("the disk is full") from full
        return key, len(picture.data)

    def _unusable(self, reason: str) -> ImageFailure:
        text = f"{self._task.model} made no usable picture without background: {reason}"
        return ImageFailure("result_invalid", text, retryable=True)
