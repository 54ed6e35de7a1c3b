"""The model that a second step starts from, uploaded to FAL anew for each attempt.

Anew, also where FAL still has the file: the URL then belongs to this attempt alone, so it finds a request
whose reply was lost, and it lives as long as any upload. Of a step under `I2M_RESULTS=redirect` FAL has the
only copy, which is fetched first.
"""

from typing import Final

from image2model.domain import ModelInput
from image2model.errors import FalResultGone, FalTransient, ImageFailure
from image2model.fal.errors import FalAddressRefused, FalUnreachable
from image2model.generation.context import GenerationContext
from image2model.generation.loading import Task
from image2model.media.model_probe import media_type
from image2model.queue.probes import check_endpoint
from image2model.storage.errors import ObjectMissing
from image2model.telemetry import tracing

_MOST_BYTES: Final = 256 << 20
_UNKNOWN_SIZE: Final = 64 << 20
"""What is held for a model whose size FAL did not say."""


async def upload_model(context: GenerationContext, task: Task, step: ModelInput) -> str:
    """The model's URL at FAL. Raises FalError, ImageFailure, StaleFence, StorageError."""
    await check_endpoint(context, task.image_id, task.model)
    async with context.picture_bytes.hold((step.size or _UNKNOWN_SIZE) * (1 if step.key else 2)):
        await check_endpoint(context, task.image_id, task.model)  # the wait may have been long
        with tracing.span("prepare_model"):
            data = await (_stored(context, step) if step.key else _at_fal(context, step))
        return await context.fal.upload(
            data, filename=f"{task.image_id}.{step.format}", content_type=media_type(step.format)
        )


async def _stored(context: GenerationContext, step: ModelInput) -> bytes:
    try:
        return await context.storage.get(step.key)
    except ObjectMissing as missing:
        raise ImageFailure(
            "storage_failed",
            "The model that this step starts from is gone from the storage; derive it again.",
            retryable=False,
        ) from missing


async def _at_fal(context: GenerationContext, step: ModelInput) -> bytes:
    data = bytearray()
    try:
        async with context.fal.download(step.url) as file:
            async for chunk in file.chunks():
                data += chunk
                if len(data) > _MOST_BYTES:
                    raise ImageFailure(
                        "result_invalid",
                        f"The model that this step starts from has more than {_MOST_BYTES >> 20} MiB.",
                        retryable=False,
                    )
    except FalResultGone as gone:
        raise ImageFailure(
            "result_expired",
            "FAL no longer has the model that this step starts from, and this service keeps no copy "
            "(I2M_RESULTS=redirect).",
            retryable=False,
        ) from gone
    except FalAddressRefused as refused:
        raise ImageFailure(
            "result_invalid", f"The model must not be fetched: {refused.message}", retryable=False
        ) from refused
    except FalUnreachable as unreachable:
        raise FalTransient(
            f"The model that this step starts from was not fetched: {unreachable.message}"
        ) from unreachable
    return bytes(data)
