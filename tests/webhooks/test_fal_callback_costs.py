"""FAL's word on an attempt that nobody follows is booked; on all others only the worker books."""

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.access import accounts
from image2model.access.accounts import Allowance, Usage
from image2model.domain import ImageError, ImageStatus
from image2model.fal.hosts import FalHosts
from image2model.fal.webhooks import decode_webhook
from image2model.generation import steps
from image2model.jobs import records
from image2model.queue import leases
from image2model.store import job_reads
from image2model.store.durability import Replicas
from image2model.store.keys import key
from image2model.webhooks import fal_callback
from image2model.webhooks.fal_callback import _has_result
from tests.support import jobs

PRICE = 300_000
HOSTS = FalHosts.at("http://127.0.0.1:9")


async def used(redis: Redis) -> Usage:
    return await accounts.usage(redis, "ann", Allowance(key="", max_queued=1, budget=None))


async def unconfirmed(redis: Redis) -> tuple[str, leases.Claim]:
    """A job of one image whose submit was given up: its id, and who held it."""
    job = await jobs.make_job(redis, unit_micro=PRICE)
    (claim,) = await jobs.pick(redis)
    await jobs.take_permit(redis, claim)
    await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)
    await steps.fail(
        redis, claim.task_id, claim.token, ImageError("submission_unconfirmed", "x", retryable=True)
    )
    return job.job_id, claim


async def tell(redis: Redis, image_id: str, attempt: str, *, generated: bool = True) -> None:
    """FAL repeats itself."""
    said = {"status": "OK", "payload": {"model_mesh": {}}} if generated else {"status": "ERROR"}
    word = decode_webhook(msgspec.json.encode({"request_id": "req-9", **said}))
    for _ in range(2):
        await fal_callback.handle_report(redis, HOSTS, image_id, attempt, word)


@pytest.mark.parametrize(("generated", "spent"), [(True, PRICE), (False, 0)])
@pytest.mark.also_on_cluster
async def test_result_of_a_superseded_attempt_is_booked_and_a_failure_is_not(
    redis: Redis, *, generated: bool, spent: int
) -> None:
    job_id, claim = await unconfirmed(redis)
    await records.retry(redis, job_id, None, None, low_priority=False)
    await tell(redis, claim.task_id, "a1", generated=generated)
    assert await used(redis) == Usage(1, spent, 2 * PRICE - spent)
    assert (await job_reads.read_job(redis, job_id)).job.cost_micro == spent


async def test_late_word_on_the_present_attempt_is_followed_and_not_booked_yet(redis: Redis) -> None:
    job_id, claim = await unconfirmed(redis)
    await tell(redis, claim.task_id, "a1")
    assert (await job_reads.read_job(redis, job_id)).counts.submitted == 1
    assert await used(redis) == Usage(1, 0, PRICE)


async def test_owner_of_an_erased_job_pays(redis: Redis) -> None:
    job_id, claim = await unconfirmed(redis)
    await records.cancel(redis, job_id, delete=True)
    await records.erase(redis, job_id)
    await tell(redis, claim.task_id, "a1")
    assert await used(redis) == Usage(0, PRICE, 0)


async def test_request_that_was_left_while_it_ran_is_booked(redis: Redis) -> None:
    job = await jobs.make_job(redis, unit_micro=PRICE)
    (claim,) = await jobs.pick(redis)
    await jobs.submit(redis, claim)
    await jobs.fail(redis, claim)
    await tell(redis, claim.task_id, "a1")
    assert await used(redis) == Usage(0, PRICE, 0)
    (image,) = (await job_reads.read_job(redis, job.job_id)).images
    assert (image.cost_micro, image.cost_uncertain) == (PRICE, True)


@pytest.mark.parametrize("version", ["ours", "8adfc9c"])
async def test_success_is_not_booked_again(redis: Redis, version: str) -> None:
    """A row of 8adfc9c has its cost and no list of bookings."""
    job = await jobs.make_job(redis, unit_micro=PRICE)
    (claim,) = await jobs.pick(redis)
    await jobs.submit(redis, claim)
    await jobs.finish(redis, claim)
    if version == "8adfc9c":
        await redis.hdel(key("image", claim.task_id), "booked")
    await tell(redis, claim.task_id, "a1")
    assert await used(redis) == Usage(0, PRICE, 0)
    assert (await job_reads.read_job(redis, job.job_id)).job.cost_micro == PRICE


async def test_word_on_an_attempt_that_we_never_made_books_nothing(redis: Redis) -> None:
    """FAL signs the webhooks of all its customers."""
    _, claim = await unconfirmed(redis)
    await tell(redis, claim.task_id, "a2")
    await tell(redis, "no image", "a1")
    assert await used(redis) == Usage(0, 0, PRICE)


@pytest.mark.parametrize("attempt", ["a1", "", "a:1"])
async def test_word_that_is_addressed_to_another_key_of_the_store_is_nobodys(
    redis: Redis, attempt: str
) -> None:
    """What was booked on an erased image lies beside where it was, as a text."""
    job_id, claim = await unconfirmed(redis)
    await tell(redis, claim.task_id, "a1")
    await records.cancel(redis, job_id, delete=True)
    await records.erase(redis, job_id)
    await redis.set(key("booked", claim.task_id), "{}", px=60_000)
    spent = await used(redis)
    await tell(redis, f"{claim.task_id}:booked", attempt)
    assert await used(redis) == spent


async def test_running_attempt_is_left_to_its_worker(redis: Redis) -> None:
    await jobs.make_job(redis, unit_micro=PRICE)
    (claim,) = await jobs.pick(redis)
    await jobs.submit(redis, claim)
    await steps.move(redis, claim.task_id, claim.token, ImageStatus.STORING)
    await tell(redis, claim.task_id, "a1")
    assert await used(redis) == Usage(1, 0, PRICE)


@pytest.mark.parametrize(
    ("word", "generated"),
    [
        ({"status": "OK", "payload": {"model_mesh": {}}}, True),
        ({"status": "OK", "payload": None, "payload_error": "too large"}, True),
        ({"status": "OK", "payload": None}, False),
        ({"status": "OK"}, False),
        ({"status": "ERROR", "payload": {"detail": []}}, False),
    ],
)
def test_word_of_a_result_is_told_from_that_of_a_failure(word: dict[str, object], *, generated: bool) -> None:
    assert _has_result(decode_webhook(msgspec.json.encode({"request_id": "r", **word}))) is generated
