"""Budgets and caps count every variant of every model, and decide on a whole upload at once."""

from concurrent.futures import ThreadPoolExecutor

from redis.asyncio import Redis

from image2model.access import accounts
from image2model.access.accounts import Allowance, Usage
from image2model.store.arq_keys import queue_key
from image2model.store.keys import key
from tests.access.conftest import MakeCaller
from tests.support import worker_steps
from tests.support.callers import Caller
from tests.support.multipart_body import Body
from tests.support.served_api import Service, batch

MODELS = ("tripo3d/tripo/v2.5/image-to-3d", "tripo3d/h3.1/image-to-3d", "fal-ai/triposr")
PRICE = 5_360_000


def comparison() -> Body:
    """Three models by four variants of two pictures: 24 images for $5.36."""
    body = batch(2, variants="4")
    for model in MODELS:
        body.text("model", model)
    return body


async def used(redis: Redis, caller: Caller) -> Usage:
    return await accounts.usage(redis, caller.owner, Allowance(key="", max_queued=1, budget=None))


async def test_budget_for_23_of_24_refuses_all_and_leaves_nothing(
    make_caller: MakeCaller, service: Service, redis: Redis
) -> None:
    ann = await make_caller(budget="5.30/total")  # 23 of them cost $5.29
    jobs = await redis.keys(key("job", "*"))
    refused = ann.upload(comparison(), idempotency_key="k")
    assert (refused.status, refused.code) == (402, "budget_exceeded")
    assert await used(redis, ann) == Usage(0, 0, 0)
    assert (service.stored(), jobs, await redis.keys(key("job", "*"))) == ([], [], [])
    assert await redis.keys(key("image", "*")) == await redis.keys(key("idempotency", "*", "*")) == []
    assert await redis.keys(queue_key("*")) == []
    assert ann.get("jobs").body["jobs"] == []


async def test_budget_for_all_is_reserved_and_settled(make_caller: MakeCaller, redis: Redis) -> None:
    ann = await make_caller(budget="5.36/total")
    answer = ann.upload(comparison(), idempotency_key="k")
    assert answer.status == 202
    assert await used(redis, ann) == Usage(24, 0, PRICE)
    assert ann.upload(comparison(), idempotency_key="k").body == answer.body
    assert await used(redis, ann) == Usage(24, 0, PRICE)
    for job in answer.items("jobs"):
        assert ann.post(f"jobs/{job['job_id']}/cancel").status == 202
    assert await used(redis, ann) == Usage(0, 0, 0)


async def test_of_many_at_once_exactly_those_that_fit_are_accepted(
    make_caller: MakeCaller, redis: Redis
) -> None:
    ann = await make_caller(budget="11.00/total", rate="100000/min")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ann.upload(comparison()), range(8)))
    assert sorted(answer.status for answer in answers) == [202] * 2 + [402] * 6
    assert await used(redis, ann) == Usage(48, 0, 2 * PRICE)


async def test_queue_cap_counts_variants_and_models(
    make_caller: MakeCaller, service: Service, redis: Redis
) -> None:
    ann = await make_caller(max_queued=24)
    assert ann.upload(batch(3, variants="8")).status == 202
    refused = ann.upload(batch(1, variants="1"))
    assert (refused.status, refused.code) == (429, "queue_full")
    for claim in await worker_steps.claim(redis, 100):
        await worker_steps.fail(redis, claim)
    assert ann.upload(batch(5, variants="5")).code == "queue_full"
    stored = service.stored()
    assert ann.upload(batch(1)).status == 202
    assert ann.upload(comparison()).code == "queue_full"
    assert len(service.stored()) == len(stored) + 1
    assert (await used(redis, ann)).unfinished == 1
