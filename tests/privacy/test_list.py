"""The list of what must be deleted at FAL: each step that ends a request puts it there, and no other does."""

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.domain import FalRequest, ImageError, ImageResult, ImageStatus, MissingFile
from image2model.fal.hosts import FalHosts
from image2model.fal.webhooks import decode_webhook
from image2model.generation import fal_deletions, steps, stored_results
from image2model.generation.fal_deletions import KeptAtFal, Outcome
from image2model.generation.steps import Committed
from image2model.jobs import records
from image2model.jobs.new_jobs import NewJob
from image2model.operations import housekeeping, restore
from image2model.queue.leases import Claim
from image2model.store.arq_keys import queue_key
from image2model.store.data_versions import functions_since
from image2model.store.durability import Replicas
from image2model.store.identity import negotiate
from image2model.store.keys import Queue, key
from image2model.webhooks import fal_callback
from tests.support import jobs
from tests.support.bookings import book_held, lose

KEEP = KeptAtFal(86_400_000, 1_860_000)
S = ImageStatus


async def commit(redis: Redis, claim: Claim, request_id: str = "req-1", attempt: str = "a1") -> Committed:
    request = FalRequest(request_id, "http://s", "http://r", "http://c")
    return await steps.commit_submission(
        Replicas(redis), claim.task_id, claim.token, attempt, request, keep=KEEP
    )


async def submitted(redis: Redis) -> tuple[NewJob, Claim]:
    job = await jobs.make_job(redis, unit_micro=300_000)
    (claim,) = await jobs.pick(redis)
    await jobs.take_permit(redis, claim)
    await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)
    assert await commit(redis, claim) is Committed.MINE
    return job, claim


async def listed(redis: Redis) -> tuple[list[str], list[str]]:
    """Requests that are kept, and requests that are to be deleted."""
    kept, due = [await redis.zrange(key(name), 0, -1) for name in ("kept_at_fal", "fal_deletions")]
    return [one.decode() for one in kept], [one.decode() for one in due]


async def is_queued(redis: Redis) -> bool:
    return await redis.zscore(queue_key(Queue.MAINTENANCE), "delete_at_fal") is not None


def failed(code: str) -> ImageError:
    return ImageError(code, "it failed", retryable=True)


async def test_running_request_is_kept_and_a_success_makes_it_due(redis: Redis) -> None:
    _, claim = await submitted(redis)
    assert await commit(redis, claim) is Committed.MINE
    for status in (S.GENERATING, S.STORING):
        await steps.move(redis, claim.task_id, claim.token, status)
        assert await listed(redis) == (["req-1"], [])
        assert not await is_queued(redis)
    await steps.succeed(redis, claim.task_id, claim.token, jobs.RESULT)
    assert await listed(redis) == ([], ["req-1"])
    assert await is_queued(redis)


async def test_without_the_setting_nothing_is_listed(redis: Redis) -> None:
    await jobs.make_job(redis)
    (claim,) = await jobs.pick(redis)
    await jobs.submit(redis, claim)
    await jobs.finish(redis, claim)
    assert await listed(redis) == ([], [])
    assert not await redis.exists(key("fal_deletion_entries"))


async def test_missing_file_keeps_it_until_the_refresh(redis: Redis) -> None:
    _, claim = await submitted(redis)
    missing = msgspec.structs.replace(jobs.RESULT, missing=(MissingFile("preview", "http://x"),))
    await steps.move(redis, claim.task_id, claim.token, S.STORING)
    await steps.succeed(redis, claim.task_id, claim.token, missing)
    assert await listed(redis) == (["req-1"], [])
    assert await redis.zscore(queue_key(Queue.BATCH), f"refresh:{claim.task_id}:1") is not None
    before = await stored_results.result_text(redis, claim.task_id)
    two = msgspec.structs.replace(missing, missing=(MissingFile("preview", "http://y"),))
    await stored_results.replace_result(redis, claim.task_id, before, two)
    assert await listed(redis) == (["req-1"], [])
    before = await stored_results.result_text(redis, claim.task_id)
    await stored_results.replace_result(redis, claim.task_id, before, jobs.RESULT)
    assert await listed(redis) == ([], ["req-1"])


@pytest.mark.parametrize(
    ("code", "due"),
    [("generation_failed", True), ("result_expired", True), ("unexpected_error", False)],
)
async def test_failure_makes_it_due_unless_a_retry_goes_on_with_it(
    redis: Redis, code: str, *, due: bool
) -> None:
    job, claim = await submitted(redis)
    await steps.fail(redis, claim.task_id, claim.token, failed(code))
    assert await listed(redis) == (([], ["req-1"]) if due else (["req-1"], []))
    await records.retry(redis, job.job_id, None, None, low_priority=False)
    assert await listed(redis) == (([], ["req-1"]) if due else (["req-1"], []))


async def test_retry_with_other_parameters_leaves_the_request(redis: Redis) -> None:
    job, claim = await submitted(redis)
    await steps.fail(redis, claim.task_id, claim.token, failed("unexpected_error"))
    await records.retry(redis, job.job_id, None, {"texture": "no"}, low_priority=False)
    assert await listed(redis) == ([], ["req-1"])


async def test_next_attempt_makes_the_one_before_due(redis: Redis) -> None:
    _, claim = await submitted(redis)
    error = failed("generation_failed")
    await steps.try_again(redis, claim.task_id, claim.token, used_attempt=True, error=error)
    assert await listed(redis) == ([], ["req-1"])


async def test_superseded_request_is_due_once_nobody_follows_it(redis: Redis) -> None:
    _, claim = await submitted(redis)
    assert await commit(redis, claim, "req-2", attempt="a0") is Committed.SUPERSEDED
    assert (await listed(redis))[1] == []
    scores = dict(await redis.zrange(key("kept_at_fal"), 0, -1, withscores=True))
    assert scores[b"req-1"] - scores[b"req-2"] > KEEP.keep_ms - KEEP.abandoned_ms - 60_000
    await fal_deletions.leave(redis, "req-2")
    assert await listed(redis) == (["req-1"], ["req-2"])


@pytest.mark.parametrize("end", ["deleted", "expired"])
async def test_end_of_the_job_ends_what_was_kept_for_it(redis: Redis, end: str) -> None:
    job, claim = await submitted(redis)
    await steps.fail(redis, claim.task_id, claim.token, failed("unexpected_error"))
    if end == "deleted":
        await records.cancel(redis, job.job_id, delete=True)
    else:
        await redis.hset(key("job", job.job_id), "expires_at", "1")
        assert await housekeeping.erase(redis, job.job_id)
    assert await listed(redis) == ([], ["req-1"])
    await records.erase(redis, job.job_id)
    assert await listed(redis) == ([], ["req-1"])


async def test_running_request_of_a_deleted_job_is_due_at_its_end(redis: Redis) -> None:
    job, claim = await submitted(redis)
    await records.cancel(redis, job.job_id, delete=True, keep_ms=KEEP.keep_ms)
    assert await listed(redis) == (["req-1"], [])
    await steps.fail(redis, claim.task_id, claim.token, failed("unexpected_error"))
    assert await listed(redis) == ([], ["req-1"])


async def test_what_is_deleted_already_is_not_listed_again(redis: Redis) -> None:
    job, claim = await submitted(redis)
    await steps.move(redis, claim.task_id, claim.token, S.STORING)
    await jobs.book(redis, claim.task_id)
    await steps.succeed(redis, claim.task_id, claim.token, jobs.RESULT)
    await fal_deletions.note(redis, "req-1", Outcome.DONE)
    await records.cancel(redis, job.job_id, delete=True, keep_ms=KEEP.keep_ms)
    assert await listed(redis) == ([], [])
    assert not await redis.exists(key("fal_deletion_entries"))


async def test_followed_request_is_never_handed_out(redis: Redis) -> None:
    """Not even if it stands on the list of what is to be deleted."""
    await submitted(redis)
    await redis.zadd(key("fal_deletions"), {"req-1": 1})
    await redis.zrem(key("kept_at_fal"), "req-1")
    assert (await fal_deletions.due(redis, 10)).requests == []
    assert await listed(redis) == (["req-1"], [])


@pytest.mark.parametrize("erased", [False, True])
async def test_late_report_of_an_attempt_of_ours_lists_its_request(redis: Redis, *, erased: bool) -> None:
    job = await jobs.make_job(redis, unit_micro=300_000)
    (claim,) = await jobs.pick(redis)
    await lose(redis, claim)
    await records.retry(redis, job.job_id, None, None, low_priority=False)
    if erased:
        await records.cancel(redis, job.job_id, delete=True)
        await records.erase(redis, job.job_id)
    await report(redis, claim.task_id, "a1", "req-9")
    assert await listed(redis) == ([], ["req-9"])
    assert (await fal_deletions.due(redis, 10)).requests == []  # who reads its result has a minute
    assert (await fal_deletions.due(redis, 10)).next_at > 0


async def test_report_of_anothers_account_lists_nothing(redis: Redis) -> None:
    _, claim = await submitted(redis)
    await report(redis, claim.task_id, "not-ours", "req-9")
    await report(redis, "f" * 32, "a1", "req-9")
    assert await listed(redis) == (["req-1"], [])


async def test_report_on_a_failed_image_leaves_what_a_retry_goes_on_with(redis: Redis) -> None:
    _, claim = await submitted(redis)
    await steps.fail(redis, claim.task_id, claim.token, failed("unexpected_error"))
    await report(redis, claim.task_id, "a1", "req-1")
    assert await listed(redis) == (["req-1"], [])


async def test_id_that_a_report_brings_is_kept(redis: Redis) -> None:
    await jobs.make_job(redis, unit_micro=300_000)
    (claim,) = await jobs.pick(redis)
    await lose(redis, claim)
    await report(redis, claim.task_id, "a1", "req-9")
    assert await listed(redis) == (["req-9"], [])


async def report(redis: Redis, image_id: str, attempt: str, request_id: str) -> None:
    body = {"request_id": request_id, "status": "OK", "payload": {"model_mesh": {}}}
    word = decode_webhook(msgspec.json.encode(body))
    hosts = FalHosts.at("http://127.0.0.1:1")
    await fal_callback.handle_report(redis, hosts, image_id, attempt, word, keep=KEEP)


async def test_restored_job_keeps_its_request_for_a_late_result(redis: Redis) -> None:
    job, _ = await submitted(redis)
    assert await restore.fail_unfinished(redis, job.job_id) == 1
    assert await listed(redis) == (["req-1"], [])
    assert not await is_queued(redis)


async def test_refusals_stop_all_for_a_while_and_then_one_tries(redis: Redis) -> None:
    for number in range(5):
        await redis.zadd(key("fal_deletions"), {f"r{number}": number + 1})
    first = await fal_deletions.due(redis, 3)
    assert [one.request_id for one in first.requests] == ["r0", "r1", "r2"]
    for one in first.requests:
        await fal_deletions.note(redis, one.request_id, Outcome.REFUSED, "no admin", 2)
    blocked = await fal_deletions.due(redis, 3)
    assert blocked.requests == []
    assert 0 < blocked.next_at - blocked.at <= 2000  # three refusals at once count as one
    state = await fal_deletions.read(redis)
    assert (state.pending, state.failing, state.refused) == (5, 3, "no admin")
    await redis.hset(key("fal_deletion_state"), "blocked_until", "1")
    assert len((await fal_deletions.due(redis, 3)).requests) == 1
    await fal_deletions.note(redis, "r0", Outcome.REFUSED, "no admin", 2)
    blocked = await fal_deletions.due(redis, 3)
    assert 2000 < blocked.next_at - blocked.at <= 4000
    await redis.hset(key("fal_deletion_state"), "blocked_until", "1")
    await fal_deletions.note(redis, "r0", Outcome.DONE)
    state = await fal_deletions.read(redis)
    assert (state.pending, state.done, state.failing, state.refused) == (4, 1, 2, "")


async def test_failure_of_one_delays_no_other(redis: Redis) -> None:
    await redis.zadd(key("fal_deletions"), {"bad": 1, "good": 2})
    await fal_deletions.note(redis, "bad", Outcome.LEFT, "1 of 2 files are left", 60)
    assert [one.request_id for one in (await fal_deletions.due(redis, 5)).requests] == ["good"]
    await fal_deletions.note(redis, "good", Outcome.DONE)
    assert (await fal_deletions.read(redis)).last_error == "1 of 2 files are left"
    await fal_deletions.note(redis, "bad", Outcome.DONE)
    state = await fal_deletions.read(redis)
    assert (state.done, state.failing, state.last_error) == (2, 0, "")
    await fal_deletions.note(redis, "bad", Outcome.DONE)
    assert (await fal_deletions.read(redis)).done == 2


async def test_task_waits_until_every_worker_knows_it(redis: Redis) -> None:
    since = functions_since()["delete_at_fal"]
    await negotiate(redis)
    await redis.hset(key("store"), "version", str(since - 1))  # it never goes down, so before there is a job
    _, claim = await submitted(redis)
    await steps.fail(redis, claim.task_id, claim.token, failed("generation_failed"))
    assert await listed(redis) == ([], ["req-1"])
    assert not await is_queued(redis)
    assert await redis.hexists(key("postponed"), "delete_at_fal")


async def test_held_attempt_is_booked_and_its_request_listed(redis: Redis) -> None:
    await jobs.make_job(redis, unit_micro=300_000)
    (claim,) = await jobs.pick(redis)
    await lose(redis, claim)
    await book_held(redis, claim.task_id, "a1", "req-9")
    assert await fal_deletions.note_late_request(redis, claim.task_id, "a1", "req-9")
    assert await listed(redis) == ([], ["req-9"])


def test_a_result_without_missing_files_says_so() -> None:
    """The script looks for `missing` in the stored text."""
    assert b"missing" not in msgspec.json.encode(ImageResult(files=()))
