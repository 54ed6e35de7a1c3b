"""The product as its modules lie from 8adfc9c on: by layer, `store`, `service`, `worker`.

Who calls it: `tests.bench.product`. It must work with every revision of this layout, so it uses no more than
8adfc9c had.
"""

import uuid
from collections.abc import Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.domain import FalRequest, ImageStatus
from image2model.service import keys
from image2model.storage import layout
from image2model.storage.address import open_storage
from image2model.store import images, jobs, leases, permits
from image2model.store.connection import connect
from image2model.store.keys import Queue
from image2model.store.replicas import Replicas
from image2model.up.store import EmbeddedStore
from image2model.worker.context import look_ahead

__all__ = ["EmbeddedStore", "connect", "look_ahead"]

WORKER_READY: Final = '"worker ready"'
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
    """Nothing: a finished job keeps everything."""


async def create_job(redis: Redis, sources: Sequence[tuple[str, int]], owner: str = "bench") -> str:
    """A job of these originals, each a key and its bytes, put into the store directly; its id."""
    new = tuple(
        jobs.NewImage(
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
    job = jobs.NewJob(
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
    await jobs.create(redis, job)
    return job.job_id


async def progress(redis: Redis, job_id: str) -> Progress:
    """How far a job is."""
    job = await jobs.read(redis, job_id, images=False)
    counts = job.counts
    at_fal = counts.submitted + counts.generating
    return Progress(job.job.total, counts.unfinished, at_fal, counts.succeeded)


async def finished_at(redis: Redis, job_id: str) -> float:
    """When a finished job's last image ended, in seconds since the epoch."""
    ended = (await jobs.read(redis, job_id, images=False)).job.finished_at
    assert ended is not None
    return ended / 1000


async def image_ids(redis: Redis, job_id: str) -> list[str]:
    """A job's images."""
    return [image.image_id for image in (await jobs.read(redis, job_id)).images]


async def errors(redis: Redis, job_id: str) -> list[str]:
    """What went wrong with a job's images."""
    found = (await jobs.read(redis, job_id)).images
    return [f"{image.error.code}: {image.error.message}" for image in found if image.error]


async def make_key(redis: Redis, rate: str | None = None) -> tuple[str, str]:
    """A new API key, and the owner of what it makes."""
    wish = keys.KeyWish(name="bench") if rate is None else keys.KeyWish(name="bench", rate=rate)
    made = await keys.create(redis, wish)
    return str(made.key), made.owner


async def submit(redis: Redis, count: int) -> list[Submitted]:
    """Take this many waiting images into FAL's queue, as a worker does."""
    claims = await leases.pick(
        redis, Queue.GENERATION, "w1", free=count, reserve=0, lease_s=600.0, max_permits=10_000
    )
    return [await _submit(redis, claim) for claim in claims]


async def _submit(redis: Redis, claim: leases.Claim) -> Submitted:
    wish = permits.Wish(claim.task_id, claim.token, "a1", "http://cdn/1.png")
    await permits.take(redis, [wish], max_permits=10_000)
    await images.mark_posting(Replicas(redis), claim.task_id, claim.token)
    await images.commit_submission(Replicas(redis), claim.task_id, claim.token, "a1", _REQUEST)
    return Submitted((await images.load(redis, claim.task_id)).job_id, claim.task_id, claim.token)


async def tell_position(redis: Redis, image: Submitted, position: int) -> None:
    """FAL says where a submitted image is in its queue, and every stream of its job hears it."""
    await images.move(redis, image.image_id, image.fence, ImageStatus.SUBMITTED, "queue_position", position)
