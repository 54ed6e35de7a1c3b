"""What streams keep of events, and that history shows them as they were passed on."""

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.events import history
from image2model.generation import stored_results
from image2model.generation.stored_results import Replaced
from image2model.jobs import records
from image2model.store import job_reads
from image2model.store.data_versions import LATEST
from image2model.store.identity import negotiate
from image2model.store.keys import key
from tests.support.jobs import book, create_job, fail, finish, pick, run, submit
from tests.support.servers import Address
from tests.support.sse import Message, job_path, opened


async def _history(address: Address, job_id: str) -> list[Message]:
    async with opened(address, job_path(job_id), last_id=0) as stream:
        return await stream.rest()


async def _forms(redis: Redis, job_id: str) -> list[str]:
    return [next(iter(fields)).decode() for _, fields in await redis.xrange(key("job_events", job_id))]


async def test_history_shows_what_was_passed_on(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis, 3)
    async with opened(address, job_path(job_id)) as stream:
        await stream.take(1)
        first, *others = await pick(redis)
        await fail(redis, first)
        for claim in others:
            await submit(redis, claim)
            await finish(redis, claim)
        passed_on = await stream.rest()
    replayed = await _history(address, job_id)
    assert replayed[3:] == passed_on  # the first three say that the images are queued
    assert set(await _forms(redis, job_id)) == {"3", "1", "complete"}


async def test_complete_is_kept_once_in_the_rows(redis: Redis) -> None:
    job_id = await create_job(redis, 25)
    await run(redis)
    ((_, fields),) = await redis.xrevrange(key("job_events", job_id), count=1)
    assert len(fields[b"complete"]) < 20
    assert not [name for name in await redis.hkeys(key("job", job_id)) if name.startswith(b"completion:")]


async def test_an_old_end_is_shown_as_it_was_after_a_retry(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis, 2)
    for claim in await pick(redis):
        await fail(redis, claim)
    before = await _history(address, job_id)
    await records.retry(redis, job_id, None, None, low_priority=False)
    await run(redis)
    after = await _history(address, job_id)
    assert after[: len(before)] == before
    assert [after[len(before) - 1].brief, after[-1].brief] == [
        ("complete", "failed"),
        ("complete", "succeeded"),
    ]


async def test_an_old_end_is_shown_as_it_was_after_a_late_booking(redis: Redis, address: Address) -> None:
    job_id = await create_job(redis)
    (claim,) = await pick(redis)
    await submit(redis, claim)
    await fail(redis, claim)
    before = await _history(address, job_id)
    await book(redis, claim.task_id, 70_000)
    after = await _history(address, job_id)
    assert after[: len(before)] == before
    assert (before[-1].json["cost_usd"], after[-1].json["cost_usd"]) == (0.0, 0.07)


async def test_an_old_end_is_shown_as_it_was_after_missing_files_were_fetched(
    redis: Redis, address: Address
) -> None:
    job_id = await create_job(redis)
    await run(redis)
    before = await _history(address, job_id)
    (image,) = (await job_reads.read_job(redis, job_id)).images
    assert image.result is not None
    other = msgspec.structs.replace(image.result, files=())
    text = msgspec.json.encode(image.result).decode()
    assert await stored_results.replace_result(redis, image.image_id, text, other) is Replaced.DONE
    after = await _history(address, job_id)
    assert after[: len(before)] == before
    assert after[-1].json["images"][0]["result"] != before[-1].json["images"][0]["result"]


@pytest.mark.parametrize("version", [4, 5, LATEST])
async def test_history_of_all_forms_is_read(redis: Redis, address: Address, version: int) -> None:
    """The version may go up while a job runs: its first events are as the version before has them."""
    await negotiate(redis)
    await redis.hset(key("store"), "version", str(version))
    job_id = await create_job(redis, 2)
    claims = await pick(redis)
    await redis.hset(key("store"), "version", str(LATEST))
    for claim in claims:
        await submit(redis, claim)
        await finish(redis, claim)
    events = await _history(address, job_id)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert [event.brief[1] for event in events[:4]] == ["queued", "queued", "preparing", "preparing"]
    assert events[0].json["image"]["filename"] == events[-1].json["images"][0]["filename"]
    owned = await history.of_owner(redis, "ann", 0)
    assert [event.version for _, event in owned if event] == [event.id for event in events]
