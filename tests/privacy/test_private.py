"""Under `private`, FAL holds nothing of a job once its results are stored, whatever fails on the way."""

import signal

import pytest

from image2model.generation import fal_deletions
from image2model.jobs import lifecycle, records
from image2model.store.arq_keys import job_key
from image2model.store.keys import key
from tests.support.fleet import Fleet, failed_codes
from tests.support.privacy import (
    ADMIN_KEY,
    PRIVATE,
    check_deletions,
    held,
    left_at_fal,
    outputs,
    refresh_now,
    try_now,
    until_listed,
    until_nothing_is_left,
)
from tests.support.wait import until

WEEK_MS = 7 * 86_400_000


@pytest.mark.long
async def test_after_a_job_fal_holds_no_output_and_no_payload(fleet: Fleet) -> None:
    """With a preview that arrives late, and a deletion that fails at first."""
    fleet.emulator.fault("preview_late", count=1, value=3600)
    fleet.emulator.fault("delete_fails", count=1)
    fleet.emulator.fault("delete_500", count=1)
    fleet.start_worker(**PRIVATE)
    job = await fleet.until_finished(await fleet.submit(2))
    assert job.counts.succeeded == 2
    (late,) = [one for one in job.images if one.result and one.result.missing]
    (whole,) = [one for one in job.images if one is not late]

    failed = await until_listed(fleet, lambda state: state.failing == 1)
    assert (failed.kept, failed.pending) == (1, 1)
    assert failed.last_error
    await try_now(fleet)
    await until_listed(fleet, lambda state: state.pending == 0 or bool(state.failing))
    await try_now(fleet)
    listed = await until_listed(fleet, lambda state: state.done == 1)
    assert (listed.kept, listed.pending, listed.failing, listed.last_error) == (1, 0, 0, "")
    assert {path.split("/")[1] for path in outputs(fleet)} == {late.request_id}
    assert held(fleet)["payloads"] == [late.request_id]

    fleet.emulator.http.post("/_emulator/files/reveal").raise_for_status()
    await lifecycle.refresh_files(fleet.redis, "ann", job.job_id, late.image_id)
    await until_nothing_is_left(fleet)
    after = await fleet.job(job.job_id)
    (found,) = [one for one in after.images if one.image_id == late.image_id]
    assert found.result is not None
    assert found.result.missing == ()
    assert len(found.result.files) == len(whole.result.files) if whole.result else False
    for file in found.result.files:
        assert await fleet.storage.get(file.key or "")
    check_deletions(fleet)


@pytest.mark.long
async def test_missing_file_is_looked_for_without_being_asked(fleet: Fleet) -> None:
    fleet.emulator.fault("preview_late", count=1, value=3600)
    fleet.start_worker(**PRIVATE)
    job = await fleet.until_finished(await fleet.submit(1))
    image_id = job.images[0].image_id
    await refresh_now(fleet, image_id, 1)

    async def second() -> bool:
        return bool(await fleet.redis.exists(job_key(f"refresh:{image_id}:2")))

    await until(second)
    fleet.emulator.http.post("/_emulator/files/reveal").raise_for_status()
    await refresh_now(fleet, image_id, 2)
    await until_nothing_is_left(fleet)
    check_deletions(fleet)


@pytest.mark.long
async def test_refused_admin_key_loses_nothing(fleet: Fleet) -> None:
    fleet.emulator.fault("admin_refused", rate=1)
    fleet.start_worker(**PRIVATE)
    job = await fleet.until_finished(await fleet.submit(3))
    assert job.counts.succeeded == 3
    state = await until_listed(fleet, lambda now: now.refused != "" and now.pending == 3)
    assert state.done == 0
    assert "admin" in state.refused
    assert len(held(fleet)["payloads"]) == 3
    calls = len(held(fleet)["deletions"])
    assert calls <= 2 * 3  # a refused key is not tried with every request again and again
    fleet.emulator.http.delete("/_emulator/faults").raise_for_status()
    await try_now(fleet)
    await until_nothing_is_left(fleet)
    state = await until_listed(fleet, lambda now: now.done == 3)
    assert (state.pending, state.failing, state.refused, state.last_error) == (0, 0, "", "")


@pytest.mark.long
async def test_killed_worker_loses_no_entry(fleet: Fleet) -> None:
    fleet.emulator.fault("delete_500", rate=1)
    worker = fleet.start_worker(**PRIVATE)
    job_id = await fleet.submit(4)
    await fleet.until(job_id, lambda job: job.counts.succeeded >= 1)
    worker.send(signal.SIGKILL)
    fleet.start_worker(**PRIVATE)
    job = await fleet.until_finished(job_id)
    assert job.counts.succeeded == 4
    await until_listed(fleet, lambda now: now.pending == 4)
    fleet.workers[-1].send(signal.SIGKILL)
    fleet.emulator.http.delete("/_emulator/faults").raise_for_status()
    fleet.start_worker(**PRIVATE)
    await until_nothing_is_left(fleet)
    await until_listed(fleet, lambda now: now.done == 4)
    check_deletions(fleet)


@pytest.mark.long
async def test_every_attempt_is_deleted(fleet: Fleet) -> None:
    fleet.emulator.fault("500", count=1)
    fleet.start_worker(**PRIVATE)
    job = await fleet.until_finished(await fleet.submit(1))
    assert job.counts.succeeded == 1
    await until_nothing_is_left(fleet)
    assert len({one["request_id"] for one in held(fleet)["deletions"]}) == 2
    check_deletions(fleet)


@pytest.mark.long
@pytest.mark.parametrize("fault", ["422", "result_error"])
async def test_failed_image_is_deleted(fleet: Fleet, fault: str) -> None:
    fleet.emulator.fault(fault, count=1)
    fleet.start_worker(**PRIVATE, I2M_MAX_ATTEMPTS="1")
    job = await fleet.until_finished(await fleet.submit(1))
    assert job.counts.failed == 1
    await until_nothing_is_left(fleet)


async def test_cancelled_image_is_deleted_after_its_end(fleet: Fleet) -> None:
    fleet.emulator.settings(concurrency=0)
    fleet.start_worker(**PRIVATE)
    job_id = await fleet.submit(1)
    await fleet.until(job_id, lambda job: job.counts.submitted == 1)
    assert (await fal_deletions.read(fleet.redis)).kept == 1
    await records.cancel(fleet.redis, job_id)
    await fleet.until_finished(job_id)
    await until_nothing_is_left(fleet)
    check_deletions(fleet)


@pytest.mark.long
async def test_deleted_job_is_deleted_at_fal_also_if_a_file_is_missing(fleet: Fleet) -> None:
    fleet.emulator.fault("preview_late", count=1, value=3600)
    fleet.start_worker(**PRIVATE)
    job = await fleet.until_finished(await fleet.submit(1))
    assert (await fal_deletions.read(fleet.redis)).kept == 1
    await lifecycle.delete(fleet.redis, "ann", job.job_id, keep_ms=WEEK_MS)
    await until_nothing_is_left(fleet)


@pytest.mark.long
async def test_deleted_job_takes_requests_of_an_earlier_setting_along(fleet: Fleet) -> None:
    fleet.emulator.fault("500", count=1)
    fleet.start_worker(I2M_FAL_ADMIN_KEY=ADMIN_KEY)
    job = await fleet.until_finished(await fleet.submit(2))
    assert len(held(fleet)["payloads"]) == 3
    assert (await fal_deletions.read(fleet.redis)).kept == 0
    await lifecycle.delete(fleet.redis, "ann", job.job_id, keep_ms=WEEK_MS)
    await until_listed(fleet, lambda now: now.done == 2)
    (unbooked,) = held(fleet)["payloads"]  # a 5xx is never billed, and no setting kept its id
    assert outputs(fleet) == []
    assert unbooked not in {one.request_id for one in job.images}


@pytest.mark.long
async def test_deletion_while_it_runs_waits_for_its_end(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=1)
    fleet.emulator.fault("cancel_ignored", rate=1)
    fleet.start_worker(**PRIVATE)
    job_id = await fleet.submit(1)
    await fleet.until(job_id, lambda job: job.counts.generating == 1)
    await lifecycle.delete(fleet.redis, "ann", job_id, keep_ms=WEEK_MS)
    assert held(fleet)["deletions"] == []
    await until_nothing_is_left(fleet)
    check_deletions(fleet)


@pytest.mark.long
async def test_retention_ends_what_nobody_ended_but_nothing_that_is_followed(fleet: Fleet) -> None:
    fleet.emulator.fault("preview_late", count=1, value=3600)
    fleet.start_worker(**PRIVATE)
    await fleet.until_finished(await fleet.submit(1))
    fleet.emulator.settings(concurrency=0)
    running = await fleet.submit(1, pictures=None)
    followed = (await fleet.until(running, lambda job: job.counts.submitted == 1)).images[0].request_id
    for request in await fleet.redis.zrange(key("kept_at_fal"), 0, -1):
        await fleet.redis.zadd(key("kept_at_fal"), {request: 1})
    await fal_deletions.schedule(fleet.redis)
    await until_listed(fleet, lambda now: now.done == 1)
    assert held(fleet)["payloads"] == [followed]
    assert (await fal_deletions.read(fleet.redis)).kept == 1
    fleet.emulator.settings(concurrency=10)
    await fleet.until_finished(running)
    await until_nothing_is_left(fleet)
    check_deletions(fleet)


@pytest.mark.long
async def test_unknown_request_is_believed_to_be_gone_only_after_the_grace(fleet: Fleet) -> None:
    await _owe(fleet, "never-existed")
    fleet.start_worker(**PRIVATE, I2M_UNCONFIRMED_GRACE="0.5")
    await until_listed(fleet, lambda now: now.failing == 1)
    assert (await fal_deletions.read(fleet.redis)).done == 0

    async def gone() -> bool:
        await try_now(fleet)
        return (await fal_deletions.read(fleet.redis)).done == 1

    await until(gone)
    assert len(held(fleet)["deletions"]) > 3


@pytest.mark.long
async def test_worker_without_the_admin_key_leaves_the_list_alone(fleet: Fleet) -> None:
    await _owe(fleet, "another-setting")
    fleet.start_worker()
    job = await fleet.until_finished(await fleet.submit(1))
    assert failed_codes(job) == []
    assert (await fal_deletions.read(fleet.redis)).pending == 1
    assert held(fleet)["deletions"] == []


@pytest.mark.long
async def test_signed_addresses_are_made_anew_and_signing_is_tried_again(fleet: Fleet) -> None:
    fleet.emulator.fault("sign_fails", count=2, value="403")
    fleet.emulator.fault("sign_expired", count=2)
    fleet.start_worker(**PRIVATE)
    job = await fleet.until_finished(await fleet.submit(1))
    assert job.counts.succeeded == 1
    assert job.images[0].result is not None
    await until_nothing_is_left(fleet)
    check_deletions(fleet)


@pytest.mark.long
async def test_partners_file_is_stored_and_stays_there(fleet: Fleet) -> None:
    fleet.emulator.fault("preview_elsewhere", count=1)
    fleet.start_worker(**PRIVATE, I2M_WEBHOOK_ALLOW_PRIVATE="1")
    job = await fleet.until_finished(await fleet.submit(1))
    assert job.images[0].result is not None
    assert job.images[0].result.missing == ()
    await until_listed(fleet, lambda now: now.done == 1)
    assert left_at_fal(fleet) == ([], [])
    assert len(outputs(fleet, partner=True)) == 1


@pytest.mark.long
async def test_files_of_another_setting(fleet: Fleet) -> None:
    fleet.start_worker(I2M_FAL_PRIVACY="expire", I2M_FAL_RETENTION="2d")
    await fleet.until_finished(await fleet.submit(1))
    found = held(fleet)
    assert {(one["kind"], one["acl"]) for one in found["files"]} == {("input", "allow"), ("output", "allow")}
    assert all(2 * 86_400 - 60 < one["expires_in"] <= 2 * 86_400 for one in found["files"])
    assert (await fal_deletions.read(fleet.redis)).kept == 0
    assert len(found["payloads"]) == 1


async def test_private_restricts_outputs_and_lets_inputs_expire(fleet: Fleet) -> None:
    fleet.emulator.fault("delete_500", rate=1)
    fleet.start_worker(**PRIVATE)
    await fleet.until_finished(await fleet.submit(1))
    found = held(fleet)["files"]
    assert {(one["kind"], one["acl"]) for one in found} == {("input", "allow"), ("output", "forbid")}
    assert all(one["expires_in"] is not None for one in found)


async def _owe(fleet: Fleet, request_id: str) -> None:
    await fleet.redis.zadd(key("fal_deletions"), {request_id: 1})
