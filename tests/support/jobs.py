"""Jobs and the steps of their images, as the service and a worker would make them.

Who calls it: tests that need something to happen in the store.
"""

import uuid

from redis.asyncio import Redis

from image2model.access.accounts import Allowance
from image2model.domain import (
    FalRequest,
    ImageError,
    ImageResult,
    ImageStatus,
    Metadata,
    Preparation,
    ResultFile,
)
from image2model.generation import costs, loading, steps
from image2model.generation.costs import Booked, Booking
from image2model.jobs import records
from image2model.jobs.new_jobs import NewImage, NewJob
from image2model.queue import leases, permits
from image2model.store.durability import Replicas
from image2model.store.keys import Queue

REQUEST = FalRequest("req-1", "http://fal/status", "http://fal/response", "http://fal/cancel")
RESULT = ImageResult(files=(ResultFile(kind="model", format="glb", size=3, key="k"),))
S = ImageStatus


async def create_job(redis: Redis, count: int = 1, owner: str = "ann") -> str:
    """A new job of `count` images; returns its id."""
    return (await make_job(redis, count, owner)).job_id


async def make_job(
    redis: Redis,
    count: int = 1,
    owner: str = "ann",
    *,
    low: bool = False,
    model: str = "tripo3d/tripo/v2.5/image-to-3d",
    digest: str = "",
    allowance: Allowance | None = None,
    unit_micro: int = 0,
    metadata: Metadata | None = None,
    image_metadata: Metadata | None = None,
) -> NewJob:
    """The same, as it was made; `low`: of low priority, `allowance`: what whoever asks for it may use,
    `unit_micro`: what is set aside for each image, `image_metadata`: that of each image. With a `digest` all
    its pictures are the same one.
    """
    job = new_job(
        count,
        owner,
        low=low,
        model=model,
        digest=digest,
        unit_micro=unit_micro,
        metadata=metadata,
        image_metadata=image_metadata,
    )
    await records.create(redis, job, None, allowance)
    return job


def new_job(
    count: int,
    owner: str,
    *,
    low: bool = False,
    model: str,
    digest: str = "",
    unit_micro: int = 0,
    cutout_micro: int = 0,
    metadata: Metadata | None = None,
    image_metadata: Metadata | None = None,
    preparation: Preparation | None = None,
    cutout_digests: tuple[str, ...] = (),
) -> NewJob:
    """One that is not made yet; `preparation` and `cutout_digests` are those of each image."""
    job_id = uuid.uuid4().hex
    new = tuple(
        NewImage(
            image_id=uuid.uuid4().hex,
            filename=f"{i}.png",
            size=10,
            sha256=f"{i:064x}",
            width=4,
            height=5,
            format="png",
            source_key=f"originals/{job_id}/{i}.png",
            digest=digest,
            metadata=image_metadata or {},
            preparation=preparation,
            cutout_digests=cutout_digests,
        )
        for i in range(count)
    )
    return NewJob(
        job_id=job_id,
        owner=owner,
        model=model,
        params={"texture": "HD"},
        images=new,
        rejected=(),
        low_priority=low,
        no_cache=False,
        webhook_url=None,
        estimated_micro=count * 400_000,
        unit_micro=unit_micro,
        cutout_micro=cutout_micro,
        ttl_ms=60_000,
        metadata=metadata or {},
    )


async def pick(redis: Redis, free: int = 100) -> list[leases.Claim]:
    """Claim waiting images as a worker does."""
    return (
        await leases.pick(
            redis, Queue.GENERATION, "w1", free=free, reserve=0, lease_s=600.0, max_permits=10_000
        )
    ).claims


async def take_permit(redis: Redis, claim: leases.Claim, attempt: str = "a1") -> permits.Permit:
    """One of a hundred, for a picked image."""
    wanted = permits.PermitRequest(claim.task_id, claim.token, attempt, "http://cdn/1.png")
    (permit,) = await permits.take(redis, [wanted], max_permits=100)
    return permit


async def submit(redis: Redis, claim: leases.Claim) -> None:
    """Take a picked image into FAL's queue."""
    await take_permit(redis, claim)
    await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)
    await steps.commit_submission(Replicas(redis), claim.task_id, claim.token, "a1", REQUEST)


async def book(
    redis: Redis,
    image_id: str,
    micro: int | None = 300_000,
    *,
    request_id: str = "",
    attempt: str = "",
    uncertain: bool = False,
    nonce: str = "",
) -> Booked:
    """What FAL took for an image: for its present request, or the one that is named."""
    task = await loading.load(redis, image_id)
    if not request_id:
        assert task.request is not None
        request_id = task.request.request_id
    booking = Booking(
        image_id=image_id,
        owner=task.owner,
        model=task.model,
        request_id=request_id,
        micro=micro,
        uncertain=uncertain,
        nonce=nonce or uuid.uuid4().hex,
        attempt=attempt,
    )
    return await costs.record_booking(redis, booking)


async def finish(redis: Redis, claim: leases.Claim) -> None:
    """Take a submitted image to its success."""
    await steps.move(redis, claim.task_id, claim.token, S.GENERATING)
    await steps.move(redis, claim.task_id, claim.token, S.STORING)
    await book(redis, claim.task_id)
    await steps.succeed(redis, claim.task_id, claim.token, RESULT)


async def fail(redis: Redis, claim: leases.Claim) -> None:
    """The image failed, and may be run again."""
    await steps.fail(redis, claim.task_id, claim.token, ImageError("generation_failed", "no", retryable=True))


async def queue_position(redis: Redis, claim: leases.Claim, position: int) -> None:
    """FAL tells a submitted image's place in its queue."""
    await steps.move(redis, claim.task_id, claim.token, S.SUBMITTED, "queue_position", position)


async def run(redis: Redis, count: int = 100) -> None:
    """Take up to `count` waiting images all the way to success."""
    for claim in await pick(redis, count):
        await submit(redis, claim)
        await finish(redis, claim)
