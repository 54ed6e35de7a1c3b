"""How many requests FAL runs at once: learned from what it reports, and from nothing that looks alike."""

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from image2model.queue import reconciliation, window
from image2model.queue.leases import Claim
from image2model.store.keys import key
from tests.support.jobs import make_job
from tests.support.window import accept, end, endpoint_limits, later, limit, pick, run, start, tick

OTHER = "fal-ai/trellis"


async def claims(redis: Redis, count: int, model: str | None = None, *, low: bool = False) -> list[Claim]:
    """New images that are being prepared."""
    job = await (
        make_job(redis, count, low=low) if model is None else make_job(redis, count, low=low, model=model)
    )
    wanted = {image.image_id for image in job.images}
    found = [one for one in await pick(redis, concurrency=window.UNLIMITED) if one.task_id in wanted]
    assert len(found) == count
    return found


async def test_a_new_account_runs_two(redis: Redis) -> None:
    assert await limit(redis) == 2


async def test_more_that_run_raise_the_limit_at_once(redis: Redis) -> None:
    await run(redis, await claims(redis, 5))
    assert await limit(redis) == 5


async def test_one_that_waited_raises_it_only_if_no_end_turns_up(redis: Redis) -> None:
    first, *others, waiting = await claims(redis, 3)
    await run(redis, [first, *others])
    await accept(redis, waiting, 0)
    await start(redis, waiting)
    assert await limit(redis) == 2
    await later(redis, 0.4)
    assert await limit(redis) == 3


async def test_end_that_is_heard_late_raises_nothing(redis: Redis) -> None:
    first, second, waiting = await claims(redis, 3)
    await run(redis, [first, second])
    await accept(redis, waiting, 0)
    await start(redis, waiting)
    await end(redis, first)
    await later(redis, 0.4)
    assert await limit(redis) == 2


async def test_vacancy_that_fal_does_not_fill_lowers_it(redis: Redis) -> None:
    first, *others, waiting = await claims(redis, 5)
    await run(redis, [first, *others])
    await accept(redis, waiting, 0)
    await later(redis, 2)
    await end(redis, first)
    assert await limit(redis) == 4
    await later(redis, 1.1)
    assert await limit(redis) == 3


async def test_each_further_vacancy_lowers_it_once_more(redis: Redis) -> None:
    *running, waiting = await claims(redis, 11)
    await run(redis, running)
    await accept(redis, waiting, 0)
    await later(redis, 2)
    for ended, one in enumerate(running[:8], 1):
        await end(redis, one)
        await later(redis, 1.1)
        assert await limit(redis) == 10 - ended


async def test_vacancy_that_is_filled_lowers_nothing(redis: Redis) -> None:
    first, *others, waiting = await claims(redis, 5)
    await run(redis, [first, *others])
    await accept(redis, waiting, 0)
    await later(redis, 2)
    await end(redis, first)
    await start(redis, waiting)
    await later(redis, 5)
    assert await limit(redis) == 4


async def test_another_programs_request_takes_a_vacancy_without_lowering_it(redis: Redis) -> None:
    first, *others, waiting = await claims(redis, 5)
    await run(redis, [first, *others])
    await accept(redis, waiting, 1)
    await later(redis, 3)
    await end(redis, first)
    for _ in range(5):
        await later(redis, 1.1)
    assert await limit(redis) == 4


async def test_cold_start_lowers_nothing(redis: Redis) -> None:
    first, *others = await claims(redis, 4)
    (cold,) = await claims(redis, 1, OTHER)
    await run(redis, [first, *others])
    await accept(redis, cold, 0)
    await later(redis, 2)
    await end(redis, first)
    for _ in range(5):
        await later(redis, 1.1)
    assert await limit(redis) == 4


async def test_nothing_is_lowered_while_nothing_ends(redis: Redis) -> None:
    first, *others = await claims(redis, 10)
    await run(redis, [first, *others])
    for one in [first, *others]:
        await end(redis, one)
    running, *waiting = await claims(redis, 5)
    await accept(redis, running)
    await start(redis, running)
    for position, one in enumerate(waiting):
        await accept(redis, one, position)
    for _ in range(5):
        await later(redis, 1.1)
    assert await limit(redis) == 10


async def _stale(redis: Redis, others_before_us: int) -> None:
    """The stored limit is 10; FAL runs two, and fills each vacancy."""
    old = await claims(redis, 10)
    await run(redis, old)
    for one in old:
        await end(redis, one)
    running, second, *waiting = await claims(redis, 8)
    await run(redis, [running, second])
    for position, one in enumerate(waiting):
        await accept(redis, one, position + others_before_us)
    for _ in range(4):
        await later(redis, 2)
    for ended in (running, second):
        await end(redis, ended)
        await start(redis, waiting.pop(0))
        for position, one in enumerate(waiting):
            await redis.hset(key("image", one.task_id), "queue_position", str(position + others_before_us))
        await later(redis, 2)
    for _ in range(3):
        await later(redis, 1.1)


async def test_limit_that_is_never_reached_is_lowered_after_two_ends(redis: Redis) -> None:
    await _stale(redis, 0)
    assert await limit(redis) == 2


async def test_limit_stays_while_another_program_shares_the_account(redis: Redis) -> None:
    await _stale(redis, 3)
    assert await limit(redis) == 10


async def test_requests_accepted_at_once_may_wait_in_either_order(redis: Redis) -> None:
    old = await claims(redis, 10)
    await run(redis, old)
    for one in old:
        await end(redis, one)
    running, second, *waiting = await claims(redis, 4)
    await run(redis, [running, second])
    for position, one in zip([1, 0], waiting, strict=True):
        await accept(redis, one, position)
    await later(redis, 3)
    assert await redis.hget(key("fal_window"), "foreign_at") is None
    await end(redis, running)
    await later(redis, 1.1)
    assert await limit(redis) == 1


async def _overtaken(
    redis: Redis, *, low: bool = False, runs: bool = True, position: int | None = 0
) -> tuple[Claim, Claim]:
    """One of an endpoint runs, one waits at this position, and a later one of another endpoint starts."""
    first, waiting = await claims(redis, 2, OTHER, low=low)
    (later_one,) = await claims(redis, 1)
    if runs:
        await run(redis, [first])
    await accept(redis, waiting, position)
    await later(redis, 1)
    await run(redis, [later_one])
    return first, waiting


async def test_endpoint_that_is_overtaken_runs_no_more_than_it_does(redis: Redis) -> None:
    await _overtaken(redis)
    await later(redis, 0.4)
    assert await endpoint_limits(redis) == {OTHER: 1}


async def test_request_whose_status_nobody_can_read_proves_no_limit_of_its_endpoint(redis: Redis) -> None:
    await _overtaken(redis, position=None)
    await later(redis, 0.4)
    assert await endpoint_limits(redis) == {}


async def test_more_of_an_endpoint_that_run_raise_its_limit(redis: Redis) -> None:
    _, waiting = await _overtaken(redis)
    await later(redis, 0.4)
    await run(redis, await claims(redis, 3))
    await start(redis, waiting)
    assert await endpoint_limits(redis) == {OTHER: 2}


async def test_endpoint_whose_request_starts_a_moment_later_has_no_limit(redis: Redis) -> None:
    _, waiting = await _overtaken(redis)
    await start(redis, waiting)
    await later(redis, 0.4)
    assert await endpoint_limits(redis) == {}


@pytest.mark.parametrize("given", [{"low": True}, {"runs": False}])
async def test_low_priority_and_cold_starts_are_overtaken_without_a_limit(
    redis: Redis, given: dict[str, bool]
) -> None:
    await _overtaken(redis, **given)
    await later(redis, 0.4)
    assert await endpoint_limits(redis) == {}


async def test_full_endpoint_does_not_lower_the_account(redis: Redis) -> None:
    *others, first = await claims(redis, 4)
    limited, waiting = await claims(redis, 2, OTHER)
    await run(redis, [*others, first, limited])
    await redis.hset(key("fal_endpoints"), OTHER, "1")
    await redis.pexpire(key("fal_endpoints"), 60_000)
    await accept(redis, waiting, 0)
    await later(redis, 2)
    for one in [first, others[0]]:
        await end(redis, one)
        await later(redis, 1.1)
    assert await limit(redis) == 5


async def test_header_sets_the_limit_and_is_believed_for_a_minute(redis: Redis) -> None:
    await window.note_limit(redis, 4)
    found = await window.read(redis, window.FalConcurrency())
    assert (found.limit, found.source) == (4, "header")
    first, second, waiting = await claims(redis, 3)
    await run(redis, [first, second])
    await accept(redis, waiting, 0)
    await later(redis, 2)
    await end(redis, first)
    await later(redis, 2)
    assert await limit(redis) == 4
    await window.note_limit(redis, 1)
    assert await limit(redis) == 1


async def test_number_that_is_set_is_shown_and_the_learned_one_kept(redis: Redis) -> None:
    await run(redis, await claims(redis, 3))
    found = await window.read(redis, window.FalConcurrency(20, {OTHER: 2}))
    assert (found.limit, found.source, found.endpoints, found.running) == (20, "set", {OTHER: 2}, 3)
    assert await limit(redis) == 3


Change = Callable[[Redis, Claim], Awaitable[None]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [(accept, (0, 1)), (start, (1, 0)), (end, (0, 0))],
    ids=["accepted", "running", "ended"],
)
async def test_reconciler_lists_anew_what_fal_has(
    redis: Redis, change: Change, expected: tuple[int, int]
) -> None:
    (one,) = await claims(redis, 1)
    await accept(redis, one)
    if change is end:
        await start(redis, one)
    if change is not accept:
        await change(redis, one)
    await redis.delete(key("fal_running"), key("fal_waiting"), key("fal_models"))
    await redis.zadd(key("fal_running"), {"gone": 1})
    await redis.hset(key("fal_models"), "gone", OTHER)
    await reconciliation.release_unused_permits(redis)
    await reconciliation.renew_ttls(redis)
    found = await window.read(redis, window.FalConcurrency())
    assert (found.running, found.waiting) == expected
    assert await redis.hlen(key("fal_models")) == 0  # left by an earlier data version


async def test_clock_comes_round_once_for_the_fleet(redis: Redis) -> None:
    await tick(redis)
    assert await redis.pttl(key("window_told")) > 0
