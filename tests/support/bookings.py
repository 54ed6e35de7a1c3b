"""What tests of bookings and holds share: budgets, lost submits, late ids, and that the money agrees."""

from redis.asyncio import Redis

from image2model.access import accounts
from image2model.access.accounts import Allowance, Usage
from image2model.access.keys import Budget
from image2model.domain import FalRequest, ImageError, ImageStatus
from image2model.generation import costs, steps
from image2model.generation.costs import Booked, Booking
from image2model.generation.steps import Committed
from image2model.jobs.new_jobs import NewJob
from image2model.queue import leases
from image2model.store import job_reads
from image2model.store.durability import Replicas
from image2model.store.keys import key
from tests.support.jobs import RESULT, take_permit

S = ImageStatus
PRICE = 300_000
MODEL = "tripo3d/tripo/v2.5/image-to-3d"
LOST = ImageError("submission_unconfirmed", "lost", retryable=True)
DAY_MS = 86_400_000


def allowance(micro: int) -> Allowance:
    return Allowance(key="", max_queued=100, budget=Budget(micro, "month"))


async def used(redis: Redis, owner: str = "ann") -> Usage:
    return await accounts.usage(redis, owner, allowance(1))


async def spent_today(redis: Redis) -> int:
    tables = [await redis.hgetall(name) async for name in redis.scan_iter(key("spend", "*"))]
    return sum(int(micro) for table in tables for micro in table.values())


async def post(redis: Redis, claim: leases.Claim, attempt: str = "a1") -> None:
    """The POST went out, and no reply came."""
    await take_permit(redis, claim, attempt)
    await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)


async def lose(redis: Redis, claim: leases.Claim, attempt: str = "a1") -> None:
    """The submit is given up as unconfirmed."""
    await post(redis, claim, attempt)
    await steps.fail(redis, claim.task_id, claim.token, LOST, unknown=True)


async def commit(redis: Redis, image_id: str, attempt: str, request_id: str) -> Committed:
    """FAL's id comes late."""
    request = FalRequest(request_id, "http://s", "http://r", "http://c")
    return await steps.commit_submission(Replicas(redis), image_id, "", attempt, request)


async def book_held(redis: Redis, image_id: str, attempt: str, request_id: str) -> Booked:
    """FAL's webhook tells of a result of an attempt that nobody follows."""
    booking = Booking(
        image_id=image_id,
        owner=None,
        model=None,
        request_id=request_id,
        micro=None,
        uncertain=True,
        nonce="n",
        attempt=attempt,
    )
    return await costs.record_booking(redis, booking)


async def agree(redis: Redis, job: NewJob, micro: int) -> None:
    """Images, job, account and the day's table say the same."""
    snapshot = await job_reads.read_job(redis, job.job_id)
    assert sum(image.cost_micro or 0 for image in snapshot.images) == micro
    assert snapshot.job.cost_micro == micro
    assert (await used(redis, job.owner)).spent == micro
    assert await spent_today(redis) == micro


async def finish_submitted(redis: Redis, claim: leases.Claim) -> None:
    await steps.move(redis, claim.task_id, claim.token, S.STORING)
    await steps.succeed(redis, claim.task_id, claim.token, RESULT)
