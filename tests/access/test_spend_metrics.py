"""Spending in the metrics: today's, by the names of keys, as Prometheus reads it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from image2model.access import accounts, keys
from image2model.access.accounts import MAX_ROWS, NO_KEY, OTHERS, Spent
from image2model.access.keys import NewKey
from image2model.store.connection import command
from image2model.store.keys import key
from tests.access.conftest import MakeCaller
from tests.support import worker_steps
from tests.support.callers import Caller
from tests.support.served_api import Service, batch

TRIPO = "tripo3d/tripo/v2.5/image-to-3d"
SAM = "fal-ai/sam-3/3d-objects"

TOKEN = "for-prometheus-alone"
SCRAPE = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    return make_service(metrics_token=TOKEN)


def spend(service: Service) -> dict[tuple[str, str], float]:
    """The gauge by key and model, as a strict reader of the text finds it."""
    text = service.get("/metrics", **SCRAPE).content.decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "image2model_spend_usd":
                labels = (sample.labels["key"], sample.labels["model"])
                assert labels not in found
                found[labels] = sample.value
    return found


async def buy(caller: Caller, redis: Redis, tmp_path: Path, model: str = TRIPO, count: int = 1) -> None:
    """Pictures that succeed, and are paid for."""
    job_id = caller.upload(batch(count, model=model, no_cache="true")).text("job_id")
    for claim in await worker_steps.claim(redis, count):
        await worker_steps.succeed(redis, claim, job_id, (tmp_path / "files").as_uri())


async def test_spending_shows_by_name_of_key_and_model(
    make_caller: MakeCaller, service: Service, redis: Redis, tmp_path: Path
) -> None:
    ann, bob = await make_caller("ann"), await make_caller("bob")
    assert spend(service) == {}
    await buy(ann, redis, tmp_path, count=2)
    await buy(ann, redis, tmp_path, SAM)
    await buy(bob, redis, tmp_path)
    found = spend(service)
    assert found == {("ann", TRIPO): 0.6, ("ann", SAM): 0.3, ("bob", TRIPO): 0.3}
    text = service.get("/metrics", **SCRAPE).content.decode()
    assert ann.owner not in text
    assert ann.key not in text


async def test_names_are_escaped(service: Service, redis: Redis, tmp_path: Path) -> None:
    name = 'a "quoted"\nname\\with\\n all of it'
    secret, _ = await keys.add_record(redis, NewKey(name=name))
    await buy(Caller(service, secret), redis, tmp_path)
    assert spend(service) == {(name, TRIPO): 0.3}
    line = rf'image2model_spend_usd{{key="a \"quoted\"\nname\\with\\n all of it",model="{TRIPO}"}} 0.3'
    assert line in service.get("/metrics", **SCRAPE).content.decode().splitlines()


async def test_revoked_keys_spending_of_today_still_shows(
    make_caller: MakeCaller, admin: Caller, service: Service, redis: Redis, tmp_path: Path
) -> None:
    ann = await make_caller("ann")
    await buy(ann, redis, tmp_path)
    assert admin.send("DELETE", f"admin/keys/{ann.key_id}").status == 204
    assert spend(service) == {("ann", TRIPO): 0.3}


async def test_keys_of_one_owner_show_together_and_namesakes_are_added_up(
    make_caller: MakeCaller, service: Service, redis: Redis, tmp_path: Path
) -> None:
    new = await make_caller("new")
    await make_caller("former", owner=new.owner)
    await make_caller("new", owner=new.owner)
    await buy(new, redis, tmp_path)
    for namesake in (await make_caller("twin"), await make_caller("twin")):
        await buy(namesake, redis, tmp_path)
    assert spend(service) == {("former,new", TRIPO): 0.3, ("twin", TRIPO): 0.6}


async def test_owners_without_a_key_on_record_have_one_word(
    admin: Caller, make_open_service: Callable[..., Service], redis: Redis, tmp_path: Path
) -> None:
    await buy(admin, redis, tmp_path)
    anybody = Caller(make_open_service(), "")
    await buy(anybody, redis, tmp_path)
    assert spend(admin.service) == {(NO_KEY, TRIPO): 0.6} == spend(anybody.service)


async def test_yesterdays_spending_is_over(
    make_caller: MakeCaller, service: Service, redis: Redis, tmp_path: Path
) -> None:
    ann = await make_caller("ann")
    await command(redis, "HSET", key("spend", "2001-01-01"), f"{ann.owner} {TRIPO}", 900_000)
    await command(redis, "PEXPIRE", key("spend", "2001-01-01"), 60_000)
    assert (await accounts.spent_on(redis, ["2001-01-01"]))[0]
    await buy(ann, redis, tmp_path)
    assert spend(service) == {("ann", TRIPO): 0.3}


def test_number_of_series_is_bounded_and_their_sum_is_not() -> None:
    many = MAX_ROWS + 200
    spent = [Spent(f"owner{n}", TRIPO, 1000 + n) for n in range(many)]
    names = {f"owner{n}": (OTHERS if n == 0 else f"name{n}",) for n in range(many)}
    rows = accounts.sum_by_names(spent, names)
    assert len(rows) == MAX_ROWS + 1
    assert sum(row.micro for row in rows) == sum(one.micro for one in spent)
    (others,) = [row for row in rows if row.names == OTHERS]
    assert others.micro == sum(1000 + n for n in range(200))
