"""What opens and closes an endpoint's circuit, who probes it, and what is the account's fault or FAL's."""

import asyncio

import pytest
from redis.asyncio import Redis

from image2model.domain import ImageStatus, WaitingFor
from image2model.generation import loading, steps
from image2model.jobs import records
from image2model.queue import circuits, leases
from image2model.queue.circuits import Fault, FaultOutcome, Pace
from image2model.queue.permits import Permit
from image2model.store import job_reads
from image2model.store.durability import Replicas
from image2model.store.keys import Queue, key
from tests.support.circuits import open_circuits
from tests.support.endpoint_steps import (
    BAD,
    LATER,
    SOON,
    WORSE,
    fault,
    next_probe,
    refuse,
    until_open_by,
)
from tests.support.fixtures import MakeJob
from tests.support.jobs import REQUEST, finish, submit, take_permit
from tests.support.leases import pick


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
    assert {image.attempt for image in (await job_reads.read_job(redis, job.job_id)).images} == {1}


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
        await records.cancel(redis, job.job_id, delete=end == "deleted")
    elif end == "failed":
        await steps.move(redis, probe.task_id, probe.token, ImageStatus.FAILED, "error", "{}")
    elif end == "lost":
        await redis.zadd(key("leases", Queue.GENERATION), {probe.task_id: 1})
        assert await leases.sweep(redis, Queue.GENERATION, lease_s=5) == 1
    following = await next_probe(redis, pace=quick, but=probe.task_id)
    assert following.task_id == other.images[0].image_id
    if end == "stuck":
        assert await take_permit(redis, probe) is Permit.REFUSED


async def test_five_failed_posts_in_a_row_open_the_circuit_and_an_acceptance_begins_anew(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(12, model=BAD)
    claims = await pick(redis, free=12)
    for claim in claims[:4]:
        assert await fault(redis, claim, Fault.POST, LATER) == FaultOutcome(False, "")
    await submit(redis, claims[4])
    await until_open_by(redis, Fault.POST, claims[5:10])
    assert [one.why for one in await open_circuits(redis)] == [Fault.POST]


async def test_acceptance_of_an_earlier_post_closes_nothing(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, model=BAD)
    one, other = await pick(redis)
    await take_permit(redis, one)
    await steps.mark_posting(Replicas(redis), one.task_id, one.token)
    await asyncio.sleep(0.005)  # the store's clock has milliseconds
    await refuse(redis, other, LATER)
    await steps.commit_submission(Replicas(redis), one.task_id, one.token, "a1", REQUEST)
    assert [state.model for state in await open_circuits(redis)] == [BAD]


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
    assert [one.why for one in await open_circuits(redis)] == [Fault.RESULT]
    await finish(redis, probe)
    assert await open_circuits(redis) == ()


async def test_attempt_that_its_endpoint_spoilt_is_not_used_up(redis: Redis, make_job: MakeJob) -> None:
    await make_job(1, model=BAD)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    assert await steps.try_again(redis, claim.task_id, claim.token, used_attempt=True, endpoint=True)
    task = await loading.load(redis, claim.task_id)
    assert (task.attempt, task.attempts_used, task.request) == (2, 0, None)


async def test_two_refused_endpoints_are_the_account_until_anything_is_accepted(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(1, model=BAD)
    await make_job(1, model=WORSE)
    one, other = await pick(redis)
    assert await refuse(redis, one, LATER) == FaultOutcome(True, "")
    assert await refuse(redis, other, LATER) == FaultOutcome(True, "account")
    # an endpoint that nobody has refused tries at once, and no other image does
    await make_job(2)
    (trial,) = await pick(redis)
    assert await pick(redis) == []
    await submit(redis, trial)
    assert {state.model for state in await open_circuits(redis)} == {BAD, WORSE}
    assert len(await pick(redis)) == 1


async def test_refused_endpoint_and_another_that_passes_are_not_the_account(
    redis: Redis, make_job: MakeJob
) -> None:
    bad, good, worse = await make_job(1, model=BAD), await make_job(1), await make_job(1, model=WORSE)
    claims = {claim.task_id: claim for claim in await pick(redis)}
    assert await refuse(redis, claims[bad.images[0].image_id], LATER) == FaultOutcome(True, "")
    await submit(redis, claims[good.images[0].image_id])
    assert await refuse(redis, claims[worse.images[0].image_id], LATER) == FaultOutcome(True, "")


async def test_two_failing_endpoints_are_fal(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, model=BAD)
    await make_job(3, model=WORSE)
    claims = await pick(redis)
    counted = [await fault(redis, claim, Fault.POST, LATER) for claim in claims]
    assert counted == [FaultOutcome(False, "")] * 4 + [FaultOutcome(False, "fal")]


async def test_trial_is_no_image_whose_endpoint_is_refused(redis: Redis, make_job: MakeJob) -> None:
    await make_job(2, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first, LATER)
    good = await make_job(1)
    assert await circuits.count_fault(redis, WaitingFor.ACCOUNT)
    await circuits.allow_trial(redis)
    (trial,) = await pick(redis)
    assert trial.task_id == good.images[0].image_id
    assert await take_permit(redis, trial) is Permit.GRANTED


async def test_trial_is_one_that_waits_for_an_endpoint_where_there_is_no_other(
    redis: Redis, make_job: MakeJob
) -> None:
    await make_job(2, model=BAD)
    (first,) = await pick(redis, free=1)
    await refuse(redis, first, LATER)
    assert await circuits.count_fault(redis, WaitingFor.ACCOUNT)
    await circuits.allow_trial(redis)
    (trial,) = await pick(redis)
    await submit(redis, trial)
    assert await open_circuits(redis) == ()
    assert len(await pick(redis)) == 1


@pytest.mark.parametrize("kind", [Fault.REFUSED, Fault.POST])
async def test_trial_that_its_endpoint_spoils_keeps_the_accounts_circuit_open_no_longer(
    redis: Redis, make_job: MakeJob, kind: Fault
) -> None:
    await make_job(1, model=BAD)
    await make_job(1)
    assert await circuits.count_fault(redis, WaitingFor.ACCOUNT)
    await circuits.allow_trial(redis)
    (trial,) = await pick(redis, free=1)
    assert (await fault(redis, trial, kind, LATER)).paused == ""
    assert len(await pick(redis)) == 1


@pytest.mark.parametrize("known", [True, False])
async def test_5xx_frees_the_permit_unless_the_request_has_turned_up(
    redis: Redis, make_job: MakeJob, *, known: bool
) -> None:
    """FAL's webhook may bring the id before the worker has told of its failed POST."""
    await make_job(1, model=BAD)
    (claim,) = await pick(redis)
    if known:
        await submit(redis, claim)
    else:
        await take_permit(redis, claim)
        await steps.mark_posting(Replicas(redis), claim.task_id, claim.token)
    await circuits.count_endpoint_fault(
        redis, claim.task_id, Fault.POST, "Bad gateway", status=502, pace=LATER
    )
    assert (await redis.zscore(key("permits"), claim.task_id) is not None) is known
