"""From FAL's end of a request to our own: fetch the result, copy it, check it, call it a success.

Who calls it: `generate`. FAL keeps a result for minutes only, so it is fetched at once; what fails on
the way is tried again with the same request, never by a new one.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, TypeVar

import structlog

from image2model.domain import FalRequest, ImageResult, Mesh, ResultFile
from image2model.errors import DiskFull, ImageFailure
from image2model.fal.download import FalDownload
from image2model.fal.endpoints import Endpoint
from image2model.fal.failures import FalUnfinished, FalUnreachable
from image2model.fal.files import FalFile
from image2model.fal.result import FalResult
from image2model.media.glb import inspect_glb
from image2model.media.model_format import sniff_model
from image2model.storage import layout
from image2model.storage.errors import StorageError
from image2model.store import images
from image2model.store.images import Task
from image2model.telemetry import tracing
from image2model.worker import costs
from image2model.worker.backoff import full_jitter
from image2model.worker.context import WorkerContext
from image2model.worker.told import told

_log = structlog.get_logger("worker.collect")

_PATIENCE_S: Final = 1800.0
"""FAL keeps a small result for an hour, one of 10 KB or more for minutes."""
_TRIES_OF_A_CUT_FILE: Final = 3
_MOST_BYTES: Final = 1 << 30
_UNSAID_BYTES: Final = 64 << 20
"""What a file counts as of which nobody says the size."""
_SUFFIX: Final = re.compile(r"\.([A-Za-z0-9]{1,8})$")
_BY_TYPE: Final = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "application/zip": "zip"}

T = TypeVar("T")


async def collect(
    context: WorkerContext, task: Task, fence: str, request: FalRequest, endpoint: Endpoint
) -> None:
    """Make the image a success. Raises FalError as the gateway does, ImageFailure, StaleFence."""
    found = await _patiently(lambda: context.fal.result(endpoint, request))
    await costs.book_result(context, task, request, found.billable_units)
    if found.model is None:
        raise ImageFailure("result_invalid", "FAL's result holds no model.", retryable=True)
    result = await (_mirror(context, task, found) if context.settings.mirrors else _refer(found))
    await told(lambda: images.succeed(context.redis, task.image_id, fence, result))


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat what the network or the storage spoilt: the request stands, so nothing is bought.

    For long, because what is given up here is paid for: until FAL says that the result is gone.
    """
    tries, until = 0, time.monotonic() + _PATIENCE_S
    while True:
        try:
            return await call()
        except (FalUnreachable, FalUnfinished, StorageError, OSError) as error:
            tries += 1
            if time.monotonic() > until:
                raise _given_up(error) from error
            _log.warning("could not fetch the result, again", reason=str(error), tries=tries)
        except ImageFailure as failure:
            # a model that was cut on its way may be whole at FAL
            tries += 1
            if not failure.retryable or tries >= _TRIES_OF_A_CUT_FILE:
                raise
        await asyncio.sleep(full_jitter(tries, cap_s=30))


def _given_up(error: Exception) -> ImageFailure:
    if isinstance(error, (FalUnreachable, FalUnfinished)):
        return ImageFailure("generation_failed", f"The result could not be fetched: {error}", retryable=True)
    return ImageFailure("storage_failed", f"The result could not be stored: {error}", retryable=True)


async def _refer(found: FalResult) -> ImageResult:
    """Under `redirect`: FAL's own URLs, unchecked."""
    files = [
        ResultFile(kind=file.kind, format=_format(file), size=file.file_size, source_url=file.url)
        for file in found.files
    ]
    return ImageResult(files=tuple(files))


async def _mirror(context: WorkerContext, task: Task, found: FalResult) -> ImageResult:
    files: list[ResultFile] = []
    mesh: Mesh | None = None
    for file in found.files:
        if file.kind == "model":
            stored, mesh = await _patiently(lambda: _copy_model(context, task, file))  # noqa: B023
        else:
            stored = await _patiently(lambda: _copy(context, task, file))  # noqa: B023
        files.append(stored)
    return ImageResult(files=tuple(files), mesh=mesh)


async def _copy_model(context: WorkerContext, task: Task, file: FalFile) -> tuple[ResultFile, Mesh | None]:
    async with _fetched(context, file) as data:
        kind = sniff_model(data)
        mesh: Mesh | None = None
        if kind == "glb":
            info = await asyncio.to_thread(inspect_glb, data)
            mesh = Mesh(info.triangles, info.vertices, info.textures, info.bounds)
        elif kind == "unknown":
            raise ImageFailure("result_invalid", "FAL's model is in no format that we know.", retryable=True)
        key = layout.result(task.job_id, task.image_id, file.kind, kind)
        await _put(context, key, data, "model/gltf-binary" if kind == "glb" else "application/octet-stream")
        return ResultFile(kind=file.kind, format=kind, size=len(data), key=key), mesh


async def _copy(context: WorkerContext, task: Task, file: FalFile) -> ResultFile:
    async with _fetched(context, file) as data:
        suffix = _format(file)
        key = layout.result(task.job_id, task.image_id, file.kind, suffix)
        await _put(context, key, data, file.content_type or "application/octet-stream")
        return ResultFile(kind=file.kind, format=suffix, size=len(data), key=key)


async def _put(context: WorkerContext, key: str, data: memoryview, content_type: str) -> None:
    try:
        with tracing.span("store", attributes={"image2model.bytes": len(data)}):
            await context.storage.put(key, data, content_type=content_type)
    except DiskFull as full:
        raise StorageError("the disk is full") from full


@asynccontextmanager
async def _fetched(context: WorkerContext, file: FalFile) -> AsyncIterator[memoryview]:
    """The file's bytes, counted for as long as the block keeps them. Who waits to try again holds nothing."""
    async with AsyncExitStack() as held:
        await held.enter_async_context(context.fetches)
        async with context.fal.download(file.url) as download:
            size = download.size or file.file_size or _UNSAID_BYTES
            await held.enter_async_context(context.result_bytes.hold(size))
            data = await _read(download)
        yield memoryview(data)


async def _read(download: FalDownload) -> bytearray:
    data = bytearray()
    async for chunk in download.chunks():
        data += chunk
        if len(data) > _MOST_BYTES:
            raise ImageFailure("result_invalid", "FAL's file is larger than 1 GiB.", retryable=False)
    return data


def _format(file: FalFile) -> str:
    """The suffix that a file is known by: from its name, else its type. It is only a label."""
    for name in (file.file_name, file.url.partition("?")[0]):
        if name and (match := _SUFFIX.search(name)):
            return match[1].lower()
    return _BY_TYPE.get(file.content_type or "", "bin")
