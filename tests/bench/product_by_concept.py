"""The product as its modules lie by concept: `access`, `jobs`, `queue`, `generation`.

Who calls it: `tests.bench.product`. It must work with every revision of this layout.
"""

import uuid
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.access import keys
from image2model.domain import FalRequest, ImageStatus
from image2model.generation import steps
from image2model.jobs import records
from image2model.queue import leases, permits
from image2model.queue.permits import look_ahead
from image2model.storage import layout
from image2model.storage.address import open_storage
from image2model.store import job_reads
from image2model.store.connection import connect
from image2model.store.durability import Replicas
from image2model.store.keys import Queue
from image2model.up.store import EmbeddedStore

try:
    from image2model.jobs.new_jobs import NewImage, NewJob
except ModuleNotFoundError:  # until 0.1.0 they lay beside the function that makes them
    from image2model.jobs.records import NewImage, NewJob  # type: ignore[attr-defined,no-redef]

try:
    from image2model.generation.loading import load
except ModuleNotFoundError:  # earlier beside the steps
    from image2model.generation.steps import load  # type: ignore[attr-defined,no-redef]

__all__ = ["EmbeddedStore", "connect", "look_ahead"]

WORKER_READY: Final = '"worker_ready"'
"""What a worker logs when it takes work."""
_MODEL: Final = "tripo3d/tripo/v2.5/image-to-3d"
_REQUEST: Final = FalRequest("req-1", "http://fal/status", "http://fal/response", "http://fal/cancel")


class Progress(msgspec.Struct, frozen=True):
    """A job's images, counted."""

    total: int
    unfinished: int
    at_fal: int
    succeeded: int


class Submitted(msgspec.Struct, frozen=True):
    """An image that a worker has submitted."""

    job_id: str
    image_id: str
    fence: str


async def put_picture(storage_url: str, number: int, data: bytes) -> str:
    """Store an original; its key."""
    key = layout.original("0" * 32, f"{number:032x}", "png")
    await open_storage(storage_url).put(key, data, content_type="image/png")
    return key


async def settle(redis: Redis) -> None:
    """Let finished jobs keep what they keep after ten minutes, where the revision does that."""
    if find_spec("image2model.operations.settling"):
        from image2model.operations.settling import settle_jobs

        await settle_jobs(redis, older_than_s=0)


async def create_job(redis: Redis, sources: Sequence[tuple[str, int]], owner: str = "bench") -> str:
    """A job of these originals, each a key and its bytes, put into the store directly; its id."""
    new = tuple(
        NewImage(
            image_id=uuid.uuid4().hex,
            filename=f"{number}.png",
            size=size,
            sha256=f"{number:064x}",
            width=256,
            height=256,
            format="png",
            source_key=key,
        )
        for number, (key, size) in enumerate(sources)
    )
    job = NewJob(
        job_id=uuid.uuid4().hex,
        owner=owner,
        model=_MODEL,
        params={},
        images=new,
        rejected=(),
        low_priority=False,
        no_cache=True,
        webhook_url=None,
        estimated_micro=None,
        ttl_ms=3_600_000,
    )
    await records.create(redis, job)
    return job.job_id


async def progress(redis: Redis, job_id: str) -> Progress:
    """How far a job is."""
    job = await job_reads.read_job(redis, job_id, images=False)
    counts = job.counts
    at_fal = counts.submitted + counts.generating
    return Progress(job.job.total, counts.unfinished, at_fal, counts.succeeded)


async def finished_at(redis: Redis, job_id: str) -> float:
    """When a finished job's last image ended, in seconds since the epoch."""
    ended = (await job_reads.read_job(redis, job_id, images=False)).job.finished_at
    assert ended is not None
    return ended / 1000


async def image_ids(redis: Redis, job_id: str) -> list[str]:
    """A job's images."""
    return [image.image_id for image in (await job_reads.read_job(redis, job_id)).images]


async def errors(redis: Redis, job_id: str) -> list[str]:
    """What went wrong with a job's images."""
    found = (await job_reads.read_job(redis, job_id)).images
    return [f"{image.error.code}: {image.error.message}" for image in found if image.error]


async def make_key(redis: Redis, rate: str | None = None) -> tuple[str, str]:
    """A new API key, and the owner of what it makes."""
    wish = keys.KeyRequest(name="bench") if rate is None else keys.KeyRequest(name="bench", rate=rate)
    made = await keys.create(redis, wish)
    return str(made.key), made.owner


async def submit(redis: Redis, count: int) -> list[Submitted]:
    """Take this many waiting images into FAL's queue, as a worker does."""
    picked = await leases.pick(
        redis, Queue.GENERATION, "w1", free=count, reserve=0, lease_s=600.0, max_permits=10_000
    )
    # revisions before the one that also says how long a worker may wait returned the list itself
    return [await _submit(redis, claim) for claim in getattr(picked, "claims", picked)]  # type: ignore[union-attr]


async def _submit(redis: Redis, claim: leases.Claim) -> Submitted:
    wish = permits.PermitRequest(claim.task_id, claim.token, "a1", "http://cdn/1.png")
    await permits.take(redis, [wish], max_permits=10_000)
    await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)
    await steps.commit_submission(Replicas(redis), claim.task_id, claim.token, "a1", _REQUEST)
    return Submitted((await load(redis, claim.task_id)).job_id, claim.task_id, claim.token)


async def tell_position(redis: Redis, image: Submitted, position: int) -> None:
    """FAL says where a submitted image is in its queue, and every stream of its job hears it."""
    await steps.move(redis, image.image_id, image.fence, ImageStatus.SUBMITTED, "queue_position", position)
