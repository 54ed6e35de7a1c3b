"""The circuit of an endpoint: who waits for it, who probes, what closes it, and what it leaves alone."""

import asyncio

import pytest
from redis.asyncio import Redis

from image2model.domain import Counts, ImageStatus, WaitingFor
from image2model.store import endpoints, fleet, images, jobs, leases, pause, permits, upkeep
from image2model.store.arq_keys import AT_ENDPOINT, FRONT, queue_key
from image2model.store.endpoints import Counted, Fault, Pace
from image2model.store.keys import Queue, key
from image2model.store.leases import Claim
from image2model.store.permits import Permit
from image2model.store.replicas import Replicas
from image2model.store.rows import JobSnapshot
from tests.store.conftest import MakeJob
from tests.store.test_life_of_an_image import REQUEST, finish, pick, submit
from tests.support.jobs import take_permit
from tests.support.wait import until

GOOD, BAD, WORSE = "tripo3d/tripo/v2.5/image-to-3d", "fal-ai/trellis", "fal-ai/triposr"
WORDS = "You do not have access to this model."
SOON = Pace(first_gap_s=0.02, last_gap_s=0.05, probe_within_s=30)
LATER = Pace(first_gap_s=60, last_gap_s=600, probe_within_s=30)
PATIENT = 3600.0


async def refuse(redis: Redis, claim: Claim, pace: Pace = SOON) -> Counted:
    """FAL answers this image's POST with 403, and its worker lets it go."""
    counted = await fault(redis, claim, Fault.REFUSED, pace)
    await images.try_again(redis, claim.task_id, claim.token, used_attempt=False, endpoint=True)
    await let_go(redis, claim)
    return counted


async def fault(redis: Redis, claim: Claim, kind: Fault, pace: Pace = SOON) -> Counted:
    return await endpoints.record_fault(redis, claim.task_id, kind, WORDS, status=403, pace=pace)


async def let_go(redis: Redis, claim: Claim) -> None:
    await leases.let_go(
        redis, Queue.GENERATION, claim.task_id, claim.token, finished=False, score=claim.score
    )


async def tend(redis: Redis, patience_s: float = PATIENT, pace: Pace = SOON) -> dict[str, str]:
    return await endpoints.tend(redis, patience_s=patience_s, pace=pace)


async def next_probe(redis: Redis, model: str = BAD, pace: Pace = SOON, but: str = "") -> Claim:
    """Wait until an image is let through, and pick it."""

    async def chosen() -> bool:
        return (await tend(redis, pace=pace)).get(model, "") not in {"", but}

    await until(chosen)
    (claim,) = await pick(redis)
    return claim


async def waiting(redis: Redis, model: str = BAD) -> int:
    return sum(one.waiting for one in await endpoints.read(redis) if one.model == model)


async def until_open_by(redis: Redis, kind: Fault, claims: list[Claim], pace: Pace = LATER) -> None:
    """Five failures in a row."""
    for claim in claims[:4]:
        assert await fault(redis, claim, kind, pace) == Counted(False, "")
    assert (await fault(redis, claims[4], kind, pace)).open


def states(job: JobSnapshot) -> list[ImageStatus]:
    return [image.status for image in job.images]


async def test_refused_endpoint_keeps_its_own_images_only(redis: Redis, make_job: MakeJob) -> None:
    await make_job(3, model=BAD)
    good = await make_job(3)
    first, *_ = await pick(redis, free=1)
    assert await refuse(redis, first, LATER) == Counted(True, "")
    picked = {claim.task_id for claim in await pick(redis)}
    assert picked == {image.image_id for image in good.images}
    assert await waiting(redis) == 3
    (state,) = await endpoints.read(redis)
    assert (state.model, state.why, state.words) == (BAD, Fault.REFUSED, WORDS)
    assert next(q.paused for q in (await fleet.read(redis)).queues if q.queue == Queue.GENERATION) == ()


async def test_images_that_wait_are_looked_at_by_no_pick(redis: Redis, make_job: MakeJob) -> None:
    await make_job(450, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first, LATER)
    good = await make_job(1)
    for _ in range(3):  # so many are looked at in one call
        claims = await pick(redis)
    assert [claim.task_id for claim in claims] == [good.images[0].image_id]
    scores = await redis.zrange(queue_key(Queue.GENERATION), 0, -1, withscores=True)
    assert sum(score == AT_ENDPOINT for _, score in scores) == 450


async def test_image_that_waits_holds_nothing(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, model=BAD)
    one, other = await pick(redis)
    assert await take_permit(redis, one) is Permit.GRANTED
    await refuse(redis, one, LATER)
    assert await take_permit(redis, other) is Permit.REFUSED
    await let_go(redis, other)
    assert await redis.zcard(key("permits")) == await redis.zcard(key("ahead")) == 0
    assert await redis.zcard(key("leases", Queue.GENERATION)) == 0
    assert await waiting(redis) == 2


async def test_refused_image_waits_for_no_permit(redis: Redis, make_job: MakeJob) -> None:
    good, bad = await make_job(2), await make_job(2, model=BAD)
    claims = {claim.task_id: claim for claim in await pick(redis)}
    ours = [claims[image.image_id] for image in (*good.images, *bad.images)]
    await refuse(redis, ours[3], LATER)
    wishes = [permits.Wish(claim.task_id, claim.token, "a1", "http://cdn/1.png") for claim in ours[:3]]
    answers = await permits.take(redis, wishes, max_permits=1)
    assert answers == [Permit.GRANTED, Permit.NONE_FREE, Permit.REFUSED]


async def test_one_image_probes_and_its_acceptance_releases_the_others_in_order(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(4, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first)
    assert await pick(redis) == []
    probe = await next_probe(redis)
    assert probe.task_id == job.images[0].image_id
    assert await pick(redis) == []
    await submit(redis, probe)
    assert await endpoints.read(redis) == []
    late = await make_job(1)
    order = [claim.task_id for claim in await pick(redis)]
    assert order == [image.image_id for image in (*job.images[1:], *late.images)]


async def test_probes_go_round_and_their_gaps_double(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(3, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first)
    await pick(redis)
    probed, gaps = [], []
    for _ in range(4):
        probe = await next_probe(redis)
        probed.append(probe.task_id)
        await refuse(redis, probe)
        gaps.append(int(await redis.hget(key("endpoint", BAD), "probe_gap") or 0))
    ids = [image.image_id for image in job.images]
    assert probed == [*ids, ids[0]]
    assert gaps == [50, 50, 50, 50]  # the last gap, in ms
    assert {image.attempt for image in (await jobs.read(redis, job.job_id)).images} == {1}


async def test_gap_doubles_from_the_first_to_the_last(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first, Pace(first_gap_s=0.01, last_gap_s=0.07, probe_within_s=30))
    gaps = [int(await redis.hget(key("endpoint", BAD), "probe_gap") or 0)]
    for _ in range(3):
        await refuse(redis, await next_probe(redis))
        gaps.append(int(await redis.hget(key("endpoint", BAD), "probe_gap") or 0))
    assert gaps == [20, 40, 70, 70]


@pytest.mark.parametrize("end", ["cancelled", "deleted", "failed", "stuck", "lost"])
async def test_probe_hangs_on_no_image(redis: Redis, make_job: MakeJob, end: str) -> None:
    job, other = await make_job(1, model=BAD), await make_job(2, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first)
    await pick(redis)
    quick = Pace(0.02, 0.05, probe_within_s=0.1 if end in {"stuck", "lost"} else 30)
    probe = await next_probe(redis, pace=quick)
    assert probe.task_id == job.images[0].image_id
    if end in {"cancelled", "deleted"}:
        await jobs.cancel(redis, job.job_id, delete=end == "deleted")
    elif end == "failed":
        await images.move(redis, probe.task_id, probe.token, ImageStatus.FAILED, "error", "{}")
    elif end == "lost":
        await redis.zadd(key("leases", Queue.GENERATION), {probe.task_id: 1})
        assert await leases.sweep(redis, Queue.GENERATION, lease_s=5) == 1
    following = await next_probe(redis, pace=quick, but=probe.task_id)
    assert following.task_id == other.images[0].image_id
    if end == "stuck":
        assert await take_permit(redis, probe) is Permit.REFUSED


async def test_cancelled_image_leaves_its_endpoint_at_once(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(2, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first, LATER)
    await pick(redis)
    assert await jobs.cancel(redis, job.job_id) == (2, 0)
    assert await waiting(redis) == 0
    assert await redis.zcard(key("endpoint_since", BAD)) == 0


async def test_impatient_image_gives_up_with_fals_words_and_costs_nothing(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(1, model=BAD)
    (first,) = await pick(redis)
    await refuse(redis, first, LATER)
    await tend(redis, pace=LATER)
    assert (await jobs.read(redis, job.job_id)).counts == Counts(queued=1)

    async def gave_up() -> bool:
        await tend(redis, patience_s=0.05, pace=LATER)
        return (await jobs.read(redis, job.job_id)).counts == Counts(failed=1)

    await until(gave_up)
    (image,) = (await jobs.read(redis, job.job_id)).images
    assert image.error is not None
    assert (image.error.code, image.error.retryable) == ("endpoint_unavailable", True)
    assert WORDS in image.error.message
    assert image.cost_micro is None
    assert await redis.hmget(key("account", "ann"), "unfinished", "reserved") == [b"0", b"0"]


async def test_pause_does_not_count_as_patience_and_a_retry_begins_a_new_one(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(1, model=BAD)
    (first,) = await pick(redis)
    await refuse(redis, first, LATER)
    await pause.pause(redis, Queue.GENERATION)
    await asyncio.sleep(0.2)  # the time that must not count
    await tend(redis, patience_s=0.15, pace=LATER)
    await pause.resume(redis, Queue.GENERATION)
    await tend(redis, patience_s=0.15, pace=LATER)
    assert (await jobs.read(redis, job.job_id)).counts == Counts(queued=1)

    async def gave_up() -> bool:
        await tend(redis, patience_s=0.15, pace=LATER)
        return (await jobs.read(redis, job.job_id)).counts == Counts(failed=1)

    await until(gave_up)
    assert await jobs.retry(redis, job.job_id, None, None, low_priority=False)
    assert await pick(redis) == []
    await tend(redis, patience_s=0.15, pace=LATER)
    assert (await jobs.read(redis, job.job_id)).counts == Counts(queued=1)


async def test_time_to_start_does_not_count_while_it_waits(redis: Redis, make_job: MakeJob) -> None:
    await make_job(1, model=BAD)
    (claim,) = await pick(redis)
    assert await images.try_again(redis, claim.task_id, claim.token, used_attempt=False, start_timeout_s=0.05)
    await let_go(redis, claim)
    (claim,) = await pick(redis)
    await refuse(redis, claim)
    await asyncio.sleep(0.1)  # longer than it may try to start
    probe = await next_probe(redis)
    assert await images.try_again(redis, probe.task_id, probe.token, used_attempt=False, start_timeout_s=0.05)


async def test_five_failed_posts_in_a_row_open_the_circuit_and_an_acceptance_begins_anew(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(12, model=BAD)
    claims = await pick(redis, free=12)
    for claim in claims[:4]:
        assert await fault(redis, claim, Fault.POST, LATER) == Counted(False, "")
    await submit(redis, claims[4])
    await until_open_by(redis, Fault.POST, claims[5:10])
    assert [one.why for one in await endpoints.read(redis)] == [Fault.POST]


async def test_acceptance_of_an_earlier_post_closes_nothing(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, model=BAD)
    one, other = await pick(redis)
    await take_permit(redis, one)
    await images.mark_posting(Replicas(redis), one.task_id, one.token)
    await asyncio.sleep(0.005)  # the store's clock has milliseconds
    await refuse(redis, other, LATER)
    await images.commit_submission(Replicas(redis), one.task_id, one.token, "a1", REQUEST)
    assert [state.model for state in await endpoints.read(redis)] == [BAD]


async def test_results_that_fail_open_a_circuit_that_an_acceptance_does_not_close(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(7, model=BAD)
    claims = await pick(redis, free=5)
    for claim in claims:
        await submit(redis, claim)
    await until_open_by(redis, Fault.RESULT, claims, SOON)
    assert await pick(redis) == []
    probe = await next_probe(redis)
    await submit(redis, probe)
    assert [one.why for one in await endpoints.read(redis)] == [Fault.RESULT]
    await finish(redis, probe)
    assert await endpoints.read(redis) == []


async def test_attempt_that_its_endpoint_spoilt_is_not_used_up(redis: Redis, make_job: MakeJob) -> None:
    await make_job(1, model=BAD)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    assert await images.try_again(redis, claim.task_id, claim.token, used_attempt=True, endpoint=True)
    task = await images.load(redis, claim.task_id)
    assert (task.attempt, task.attempts_used, task.request) == (2, 0, None)


async def test_two_refused_endpoints_are_the_account_until_anything_is_accepted(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(1, model=BAD)
    await make_job(1, model=WORSE)
    one, other = await pick(redis)
    assert await refuse(redis, one, LATER) == Counted(True, "")
    assert await refuse(redis, other, LATER) == Counted(True, "account")
    # an endpoint that nobody has refused tries at once, and no other image does
    await make_job(2)
    (trial,) = await pick(redis)
    assert await pick(redis) == []
    await submit(redis, trial)
    assert {state.model for state in await endpoints.read(redis)} == {BAD, WORSE}
    assert len(await pick(redis)) == 1


async def test_refused_endpoint_and_another_that_passes_are_not_the_account(
    redis: Redis, make_job: MakeJob
) -> None:
    bad, good, worse = await make_job(1, model=BAD), await make_job(1), await make_job(1, model=WORSE)
    claims = {claim.task_id: claim for claim in await pick(redis)}
    assert await refuse(redis, claims[bad.images[0].image_id], LATER) == Counted(True, "")
    await submit(redis, claims[good.images[0].image_id])
    assert await refuse(redis, claims[worse.images[0].image_id], LATER) == Counted(True, "")


async def test_two_failing_endpoints_are_fal(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, model=BAD)
    await make_job(3, model=WORSE)
    claims = await pick(redis)
    counted = [await fault(redis, claim, Fault.POST, LATER) for claim in claims]
    assert counted == [Counted(False, "")] * 4 + [Counted(False, "fal")]


async def test_trial_is_no_image_whose_endpoint_is_refused(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first, LATER)
    good = await make_job(1)
    assert await pause.record_fault(redis, WaitingFor.ACCOUNT)
    await pause.allow_trial(redis)
    (trial,) = await pick(redis)
    assert trial.task_id == good.images[0].image_id
    assert await take_permit(redis, trial) is Permit.GRANTED


async def test_trial_is_one_that_waits_for_an_endpoint_where_there_is_no_other(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(2, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first, LATER)
    assert await pause.record_fault(redis, WaitingFor.ACCOUNT)
    await pause.allow_trial(redis)
    (trial,) = await pick(redis)
    await submit(redis, trial)
    assert await endpoints.read(redis) == []
    assert len(await pick(redis)) == 1


@pytest.mark.parametrize("kind", [Fault.REFUSED, Fault.POST])
async def test_trial_that_its_endpoint_spoils_keeps_the_accounts_circuit_open_no_longer(
    redis: Redis, make_job: MakeJob, kind: Fault
) -> None:
    await make_job(1, model=BAD)
    await make_job(1)
    assert await pause.record_fault(redis, WaitingFor.ACCOUNT)
    await pause.allow_trial(redis)
    (trial,) = await pick(redis, free=1)
    assert (await fault(redis, trial, kind, LATER)).paused == ""
    assert len(await pick(redis)) == 1


async def test_jobs_say_that_they_wait_for_their_endpoint_and_a_pause_comes_first(
    redis: Redis, make_job: MakeJob
) -> None:
    bad = await make_job(1, model=BAD)
    good = await make_job(1)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first, LATER)

    async def told(job_id: str) -> WaitingFor | None:
        await redis.delete(key("waiting_told"))
        await upkeep.refresh_waiting(redis, max_permits=0)
        return (await jobs.read(redis, job_id)).job.waiting_for

    assert await told(bad.job_id) is WaitingFor.ENDPOINT
    assert await told(good.job_id) is WaitingFor.LIMIT
    await pause.record_fault(redis, WaitingFor.ACCOUNT)
    assert await told(bad.job_id) is WaitingFor.ACCOUNT


async def test_same_pictures_wait_for_their_endpoint_each_for_itself(redis: Redis, make_job: MakeJob) -> None:
    leader = await make_job(1, model=BAD, digest="same")
    (claim,) = await pick(redis)
    await make_job(2, model=BAD, digest="same")
    assert await pick(redis) == []
    await refuse(redis, claim)
    assert await pick(redis) == []
    assert await waiting(redis) == 3
    await jobs.cancel(redis, leader.job_id)
    probe = await next_probe(redis)
    await submit(redis, probe)
    assert await pick(redis) == []
    await finish(redis, probe)
    (reused,) = await pick(redis)
    assert (await images.load(redis, reused.task_id)).reuse_of == probe.task_id


async def test_result_that_is_there_needs_no_endpoint(redis: Redis, make_job: MakeJob) -> None:
    await make_job(1, model=BAD, digest="same")
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await make_job(1, model=BAD, digest="same")
    other = await make_job(1, model=BAD)
    (refused,) = await pick(redis)
    assert refused.task_id == other.images[0].image_id
    await refuse(redis, refused, LATER)
    await finish(redis, claim)
    (reused,) = await pick(redis)
    assert (await images.load(redis, reused.task_id)).reuse_of == claim.task_id


async def test_reconciler_leaves_those_that_wait_and_finds_those_that_nobody_knows(
    redis: Redis, make_job: MakeJob
) -> None:
    job = await make_job(2, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first, LATER)
    await pick(redis)
    assert await upkeep.repair(redis, job.job_id) == 0
    assert await upkeep.free_places(redis) == 0
    assert await waiting(redis) == 2
    await upkeep.renew_lives(redis)
    assert await redis.pttl(key("endpoint_since", BAD)) > 0
    lost = job.images[1].image_id
    await redis.zrem(key("endpoint_waiting", BAD), lost)
    assert await upkeep.repair(redis, job.job_id) == 1
    assert await redis.zscore(queue_key(Queue.GENERATION), lost) == FRONT


async def test_erased_job_leaves_nothing_at_its_endpoint(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, model=BAD)
    (first,) = await pick(redis)
    await refuse(redis, first, LATER)
    await jobs.erase(redis, job.job_id)
    assert await redis.zcard(key("endpoint_waiting", BAD)) == 0
    assert await redis.zcard(key("endpoint_since", BAD)) == 0


async def test_older_worker_that_ends_or_queues_a_waiting_image_leaves_it_where_it_put_it(
    redis: Redis, make_job: MakeJob
) -> None:
    """It knows nothing of endpoints, so it moves the image in the queue and leaves the endpoint's list."""
    await make_job(3, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first)
    await pick(redis)
    ended, queued, _ = [m.decode() for m in await redis.zrange(key("endpoint_waiting", BAD), 0, -1)]
    queue = queue_key(Queue.GENERATION)
    await redis.zrem(queue, ended)
    await redis.hset(key("image", ended), "status", "cancelled")
    await redis.zadd(queue, {queued: FRONT})
    await upkeep.free_places(redis)
    assert await waiting(redis) == 1
    await submit(redis, await next_probe(redis))
    assert [claim.task_id for claim in await pick(redis)] == [queued]
    assert await redis.zscore(queue, ended) is None
