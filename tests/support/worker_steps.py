"""A worker's steps beside a served API: moves images of a job, and stores a model for a success."""

from redis.asyncio import Redis

from image2model.domain import FalRequest, ImageError, ImageResult, ImageStatus, ResultFile
from image2model.generation import steps
from image2model.queue import leases
from image2model.storage.address import open_storage
from image2model.storage.layout import ResultNames
from image2model.store.durability import Replicas
from image2model.store.keys import Queue
from tests.support.jobs import book, take_permit

MODEL = b"glTF" + bytes(range(256)) * 40


async def claim(redis: Redis, count: int = 1) -> list[leases.Claim]:
    """Take images to `preparing`."""
    return (
        await leases.pick(redis, Queue.GENERATION, "w", free=count, reserve=0, lease_s=30, max_permits=100)
    ).claims


async def submit(redis: Redis, claim: leases.Claim) -> None:
    """FAL has it."""
    token = f"attempt-{claim.task_id}"
    await take_permit(redis, claim, token)
    await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)
    request = FalRequest(f"r-{claim.task_id}", "http://s", "http://r", "http://c")
    await steps.commit_submission(Replicas(redis), claim.task_id, claim.token, token, request)


async def fail(redis: Redis, claim: leases.Claim) -> None:
    """It ends badly."""
    error = ImageError(code="generation_failed", message="FAL gave up.", retryable=True)
    await steps.fail(redis, claim.task_id, claim.token, error)


async def succeed(
    redis: Redis, claim: leases.Claim, job_id: str, storage_url: str, source_url: str | None = None
) -> None:
    """It ends well: with a model of ours, or where `source_url` is given with FAL's."""
    await submit(redis, claim)
    key = None if source_url else ResultNames(job_id, claim.task_id, flat=True).key("model", "glb")
    if key:
        await open_storage(storage_url).put(key, MODEL, content_type="model/gltf-binary")
    file = ResultFile(kind="model", format="glb", size=len(MODEL), key=key, source_url=source_url)
    await steps.move(redis, claim.task_id, claim.token, ImageStatus.STORING)
    await book(redis, claim.task_id)
    await steps.succeed(redis, claim.task_id, claim.token, ImageResult(files=(file,)))
