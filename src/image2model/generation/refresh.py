"""Fetches files of a result again that were missing when the image succeeded: the task `refresh_files`.

Who calls it: ARQ, from the queue `batch_processing`, once a client asked for it. FAL keeps files for days,
so what did not come then may come now. Nothing is bought, and what the image has is never taken from it.
"""

import asyncio
from typing import Final

import msgspec
import structlog
from arq.worker import Retry

from image2model.domain import ImageResult, MissingFile, ResultFile, ResultWarning
from image2model.errors import StaleFence
from image2model.fal.files import MODEL, FalFile
from image2model.generation import steps
from image2model.generation.context import GenerationContext
from image2model.generation.fetch_file import Fetched
from image2model.generation.result_files import FileStore, Lost, mesh_of, remarks
from image2model.generation.steps import Replaced, Task
from image2model.queue.retry import retry_until_stored
from image2model.queue.running import RunningTask

_log = structlog.get_logger("worker.refresh")

_AT_ONCE_S: Final = 0


async def refresh_files(context: GenerationContext, _running: RunningTask, image_id: str) -> None:
    """Fetch what the image's result lacks, if anything.

    Raises StoreOutage, and arq.Retry where the result has changed meanwhile.
    """
    try:
        task = await steps.load(context.redis, image_id)
        text = await steps.result_text(context.redis, image_id)
        if not text or not (before := steps.result_from(text)).missing:
            return
        after = await _completed(context, task, before)
        if after == before:
            return
        replaced = await retry_until_stored(
            lambda: steps.replace_result(context.redis, image_id, text, after)
        )
        if replaced is Replaced.CHANGED_MEANWHILE:
            raise Retry(defer=_AT_ONCE_S)
    except StaleFence:
        _log.info("refresh_of_nothing", image_id=image_id)


async def _completed(context: GenerationContext, task: Task, result: ImageResult) -> ImageResult:
    store = FileStore(context, task.job_id, task.image_id)
    tries = await asyncio.gather(*(store.side(_source(file)) for file in result.missing))
    for missing, one in zip(result.missing, tries, strict=True):
        if isinstance(one, Lost):
            result = msgspec.structs.replace(result, warnings=_told(result.warnings, one))
        else:
            result = _with(result, missing, one)
        _log.info("file_refreshed", image_id=task.image_id, file=missing.kind, found=isinstance(one, Fetched))
    return result


def _source(missing: MissingFile) -> FalFile:
    return FalFile(missing.kind, missing.url, missing.content_type, missing.name, missing.size)


def _told(warnings: tuple[ResultWarning, ...], lost: Lost) -> tuple[ResultWarning, ...]:
    """The warnings as they are.

    Only a file that was missing and is now refused, or the reverse, is told anew.
    """
    return tuple(
        lost.warning() if one.file == lost.file.kind and one.code != lost.code else one for one in warnings
    )


def _with(result: ImageResult, missing: MissingFile, found: Fetched) -> ImageResult:
    """The result with one file more.

    A better model takes the place of the one that stood in for it, which keeps its own entry.
    """
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
