"""A result for free: the same picture, model and parameters have run already.

The files are copied inside the storage (a folder links them, S3 copies by itself), so each job owns its own
files and can be deleted alone.
"""

import msgspec
import structlog

from image2model.domain import ImageResult, ResultFile, ResultWarning, WarningCode
from image2model.fal.files import MODEL
from image2model.generation import phases, steps, stored_results
from image2model.generation.context import GenerationContext
from image2model.generation.loading import Task
from image2model.storage.errors import ObjectMissing
from image2model.telemetry import tracing

_log = structlog.get_logger(__name__)


async def reuse_result(context: GenerationContext, task: Task, fence: str) -> bool:
    """Take the result; False if it is gone by now. Raises StaleFence, StorageError."""
    found = await stored_results.result_of(context.redis, task.reuse_of)
    if found is None:
        return False
    try:
        result = await _copied(context, task, found)
    except ObjectMissing:
        return False
    leaving = phases.leaving(task) if task.phase else ()
    await steps.take_result(context.redis, task.image_id, fence, result, *leaving)
    _log.info("result_reused", image_id=task.image_id, source=task.reuse_of)
    return True


async def _copied(context: GenerationContext, task: Task, result: ImageResult) -> ImageResult:
    """The result with files of this image's own. Raises ObjectMissing if its model is gone.

    A missing file beside the model becomes a warning, like one that FAL did not have.
    """
    files: list[ResultFile] = []
    warnings = list(result.warnings)
    for file in result.files:
        try:
            files.append(await _copy(context, task, file))
        except ObjectMissing:
            if file.kind == MODEL:
                raise
            text = "It is gone from the storage of the image whose result was reused."
            warnings.append(ResultWarning(WarningCode.FILE_MISSING, file.kind, text))
    return msgspec.structs.replace(result, files=tuple(files), warnings=tuple(warnings))


async def _copy(context: GenerationContext, task: Task, file: ResultFile) -> ResultFile:
    if file.key is None:
        return file  # it is at FAL, and needs no copy
    key = task.result_names.key(file.kind, file.format)
    with tracing.span("store", attributes={"image2model.reused": True}):
        await context.storage.copy(file.key, key)
    return msgspec.structs.replace(file, key=key)
