"""Rate limits: what is counted, what an answer says of it, and what guessing leads to."""

from collections.abc import Callable

from redis.asyncio import Redis

from image2model.access import rates
from image2model.access.rates import Bucket
from tests.access.conftest import MakeCaller
from tests.support.callers import ADMIN, Caller
from tests.support.served_api import Service, batch


async def test_answers_tell_what_is_left_and_then_refuse(make_caller: MakeCaller) -> None:
    ann = await make_caller(rate="2/min")
    first = ann.upload(batch())
    assert first.headers["ratelimit-policy"] == '"key";q=2;w=60'
    assert first.headers["ratelimit"].startswith('"key";r=1;t=')
    assert ann.post("jobs/unknown/retry").headers["ratelimit"].startswith('"key";r=0;t=')
    refused = ann.upload(batch())
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert refused.headers["ratelimit"].startswith('"key";r=0')


async def test_reads_are_not_counted(make_caller: MakeCaller) -> None:
    ann = await make_caller(rate="1/h")
    job_id = ann.upload(batch()).text("job_id")
    for _ in range(5):
        assert ann.get(f"status/{job_id}").status == 200


async def test_one_keys_limit_is_not_anothers(make_caller: MakeCaller) -> None:
    ann, bob = await make_caller(rate="1/h"), await make_caller("bob", rate="1/h")
    assert [ann.upload(batch()).status for _ in range(2)] == [202, 429]
    assert bob.upload(batch()).status == 202


async def test_address_is_limited_over_all_its_keys(
    make_service: Callable[..., Service], make_caller: MakeCaller
) -> None:
    service = make_service(address_rate_limit="3/h", rate_limit="2/h")
    callers = [(await make_caller(name)).on(service) for name in ("a", "b", "c", "d")]
    assert [caller.upload(batch()).status for caller in callers] == [202, 202, 202, 429]


async def test_a_bucket_gives_exactly_its_count_at_once(redis: Redis) -> None:
    bucket = Bucket("x", (7, 60))
    states = [(await rates.take(redis, [bucket]))[0] for _ in range(10)]
    assert [state.allowed for state in states] == [True] * 7 + [False] * 3
    assert [state.remaining for state in states[:7]] == [6, 5, 4, 3, 2, 1, 0]


async def test_a_full_bucket_takes_nothing_from_the_others(redis: Redis) -> None:
    full, other = Bucket("full", (1, 60)), Bucket("other", (5, 60))
    await rates.take(redis, [full])
    before = (await rates.take(redis, [other], peek=True))[0].remaining
    await rates.take(redis, [full, other])
    assert (await rates.take(redis, [other], peek=True))[0].remaining == before == 5


async def test_guessing_ends_in_429_and_bars_the_key_that_a_person_chose(
    service: Service, make_caller: MakeCaller
) -> None:
    ann = await make_caller()
    guesses = [Caller(service, f"guess-{n}").get("session").status for n in range(250)]
    assert guesses[:100] == [401] * 100
    assert 429 in guesses[100:]
    while Caller(service, "guess").get("session").status == 401:
        pass
    assert Caller(service, ADMIN).get("session").status == 429
    assert ann.get("session").status == 200
    assert service.get("health/live").status == 200
