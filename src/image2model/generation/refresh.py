"""Fetches files of a result that were missing when the image succeeded: the task `refresh_files`.

A client requests it. FAL keeps files for days, so a missing file may come now. Nothing is bought, and a file
that the image has is never taken from it. Under I2M_FAL_PRIVACY=private the service also looks by itself a
few times, because a missing file keeps the request at FAL.
"""

import asyncio
import time
from typing import Final

import msgspec
import structlog
from arq.worker import Retry

from image2model.domain import ImageResult, MissingFile, ResultFile, ResultWarning
from image2model.errors import StaleFence
from image2model.fal.files import MODEL, FalFile
from image2model.generation import loading, stored_results
from image2model.generation.context import GenerationContext
from image2model.generation.fetch_file import Fetched
from image2model.generation.loading import Task
from image2model.generation.result_files import NotFetched, ResultFetcher, mesh_of, remarks
from image2model.generation.stored_results import Replaced
from image2model.queue import reconciliation
from image2model.queue.running import RunningTask
from image2model.store.keys import Queue

_log = structlog.get_logger(__name__)

_NOW_S: Final = 0
_FIRST_REFRESH_S: Final = 30.0
_REFRESH_GROWTH: Final = 4
_MOST_REFRESHES: Final = 6
"""Of those that nobody asked for: the last one after about eleven hours."""


async def refresh_files(context: GenerationContext, running: RunningTask, image_id: str) -> None:
    """Fetch the missing files of the image's result.

    Raises StoreOutage, and arq.Retry if the result has changed meanwhile.
    """
    try:
        task = await loading.load(context.redis, image_id)
        text = await stored_results.result_text(context.redis, image_id)
        if not text or not (before := stored_results.result_from(text)).missing:
            return
        after = await _refreshed(context, task, before)
        if after != before:
            replaced = await stored_results.replace_result(context.redis, image_id, text, after)
            if replaced is Replaced.CHANGED_MEANWHILE:
                raise Retry(defer=_NOW_S)
        if after.missing:
            await _look_again(context, running, image_id)
    except StaleFence:
        _log.info("refresh_image_gone", image_id=image_id)


async def _look_again(context: GenerationContext, running: RunningTask, image_id: str) -> None:
    """Go on with the refreshes that nobody asked for: see `leave_fal` in store/lua/fal_deletions.lua."""
    number = running.task_id.removeprefix(f"refresh:{image_id}").removeprefix(":")
    if not number.isdigit() or int(number) >= _MOST_REFRESHES:
        return
    due_ms = int((time.time() + _FIRST_REFRESH_S * _REFRESH_GROWTH ** int(number)) * 1000)
    task_id = f"refresh:{image_id}:{int(number) + 1}"
    await reconciliation.enqueue_once(
        context.redis, Queue.BATCH, task_id, "refresh_files", image_id, due_ms=due_ms
    )


async def _refreshed(context: GenerationContext, task: Task, result: ImageResult) -> ImageResult:
    fetcher = ResultFetcher(context, task.result_names)
    fetched = await asyncio.gather(*(fetcher.fetch_side_file(_source(file)) for file in result.missing))
    for missing, one in zip(result.missing, fetched, strict=True):
        if isinstance(one, NotFetched):
            result = msgspec.structs.replace(result, warnings=_updated(result.warnings, one))
        else:
            result = _with(result, missing, one)
        _log.info("file_refreshed", image_id=task.image_id, file=missing.kind, found=isinstance(one, Fetched))
    return result


def _source(missing: MissingFile) -> FalFile:
    return FalFile(missing.kind, missing.url, missing.content_type, missing.name, missing.size)


def _updated(warnings: tuple[ResultWarning, ...], missing: NotFetched) -> tuple[ResultWarning, ...]:
    """The warnings, changed only where a file that was missing is now refused, or the reverse."""
    return tuple(
        missing.warning() if one.file == missing.file.kind and one.code != missing.code else one
        for one in warnings
    )


def _with(result: ImageResult, missing: MissingFile, found: Fetched) -> ImageResult:
    """The result with one more file. A better model replaces its substitute, which keeps its own entry."""
    warnings = tuple(one for one in result.warnings if one.file != missing.kind)
    files = _placed(result.files, found.file)
    return ImageResult(
        files=files,
        mesh=mesh_of(found) if missing.kind == MODEL else result.mesh,
        warnings=(*warnings, *remarks(found)),
        missing=tuple(one for one in result.missing if one.kind != missing.kind),
    )


def _placed(files: tuple[ResultFile, ...], new: ResultFile) -> tuple[ResultFile, ...]:
    if new.kind == MODEL:
        return (new, *(file for file in files if file.kind != MODEL))
    return (*(file for file in files if file.kind != new.kind), new)
