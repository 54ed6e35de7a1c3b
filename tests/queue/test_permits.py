"""Permits, taken for several images in one step: never more than there are, the first one first."""

from redis.asyncio import Redis

from image2model.domain import ImageStatus
from image2model.generation import loading, steps
from image2model.queue import permits
from image2model.queue.leases import Claim
from image2model.queue.permits import Permit, PermitRequest
from tests.support.fixtures import MakeJob
from tests.support.leases import pick


def _wish(claim: Claim, fence: str | None = None) -> PermitRequest:
    return PermitRequest(claim.task_id, claim.token if fence is None else fence, "a1", "http://cdn/1.png")


async def test_first_in_line_get_what_is_free(redis: Redis, make_job: MakeJob) -> None:
    await make_job(5)
    claims = await pick(redis)
    answers = await permits.take(redis, [_wish(claim) for claim in claims], max_permits=3)
    assert answers == [Permit.GRANTED] * 3 + [Permit.NONE_FREE] * 2
    assert (await loading.load(redis, claims[0].task_id)).intent_url == "http://cdn/1.png"
    assert (await loading.load(redis, claims[3].task_id)).intent_url == ""


async def test_stale_one_takes_no_permit_from_those_behind(redis: Redis, make_job: MakeJob) -> None:
    await make_job(3)
    first, cancelled, last = await pick(redis)
    await steps.move(redis, cancelled.task_id, cancelled.token, ImageStatus.CANCELLED)
    requests = [_wish(first, "another's"), _wish(cancelled), _wish(last)]
    answers = await permits.take(redis, requests, max_permits=1)
    assert answers == [Permit.STALE, Permit.STALE, Permit.GRANTED]


async def test_asking_again_keeps_the_permit_that_one_has(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2)
    one, other = await pick(redis)
    assert await permits.take(redis, [_wish(one)], max_permits=1) == [Permit.GRANTED]
    assert await permits.take(redis, [_wish(one)], max_permits=1) == [Permit.GRANTED]
    assert await permits.take(redis, [_wish(other)], max_permits=1) == [Permit.NONE_FREE]
