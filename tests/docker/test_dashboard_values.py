"""Every panel of the dashboards shows what the service did: real processes, scraped by a real Prometheus.

An empty panel, one that nobody expects anything of, and one that shows something else fail the test.
"""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.callers import ADMIN, Caller
from tests.support.dashboards import Query, queries
from tests.support.fleet import MODEL, fleet_on
from tests.support.keyed_world import KeyedWorld
from tests.support.ports import free_port
from tests.support.privacy import ADMIN_KEY
from tests.support.prometheus import Prometheus, prometheus_of
from tests.support.served_api import Service, batch
from tests.support.servers import Address
from tests.support.sse import opened
from tests.support.wait import until
from tests.support.webhook_receiver import answering, receiving

TOKEN: Final = "the-token-of-the-metrics"
OTHER_MODEL: Final = "fal-ai/trellis"
Check = Callable[[float], bool]


@dataclass(frozen=True)
class Deeds:
    """What was done after the first scrape that had every series, and what it cost."""

    succeeded: int = 9
    failed: int = 2
    not_found: int = 4
    over_budget: int = 3
    uploads: int = 4
    cost: float = 0.0
    other_cost: float = 0.0
    spent: float = 0.0
    """With what was done before."""


def exactly(value: float) -> Check:
    return lambda found: abs(found - value) < 1e-6


def near(value: float) -> Check:
    """Of what Prometheus extrapolates to the ends of a range."""
    return lambda found: 0.8 * value <= found <= 1.35 * value


def between(least: float, most: float) -> Check:
    return lambda found: least <= found <= most


Expected = dict[str, Check]
"""By the name that the panel gives a series. `*` is the check of every other one."""

NOTHING: Final = exactly(0)
SOME: Final = between(1e-9, 1e12)
AS_QUOTED: Final = between(-0.01, 0.01)
A_WHILE: Final = between(1e-4, 60)


def expected(did: Deeds, seconds: int) -> dict[tuple[str, str], list[Expected]]:
    """By dashboard and panel, for each of its queries. One image is at FAL, and will be for long."""
    a_second = {"*": between(0, 1000)}
    return {
        ("service", "API replicas"): [{"": exactly(1)}],
        ("service", "Workers"): [{"": exactly(1)}],
        ("service", "Unfinished pictures"): [{"": exactly(1)}],
        ("service", "Oldest task"): [{"": between(0, 60)}],
        ("service", "Alerts"): [{"": exactly(1)}],  # BudgetEmpty
        ("service", "Dead letters"): [{"": exactly(did.failed + 1)}],
        ("service", "Where unfinished pictures are"): [{"at_fal": exactly(1), "*": NOTHING}],
        ("service", "Pictures that end, each minute"): [
            {
                "succeeded": near(did.succeeded * 60 / seconds),
                "failed": near(did.failed * 60 / seconds),
            }
        ],
        ("service", "Pictures that ended"): [{"succeeded": near(did.succeeded), "failed": near(did.failed)}],
        ("service", "Refused requests"): [
            {"not_found": near(did.not_found), "budget_exceeded": near(did.over_budget)}
        ],
        ("service", "Requests each second"): [
            {"202": near(did.uploads / seconds), "404": near(did.not_found / seconds), **a_second}
        ],
        ("service", "Time of requests, p95"): [{"/api/v1/upload/batch": A_WHILE, "*": between(0, 60)}],
        ("service", "From a change to its clients"): [{"p50": A_WHILE}, {"p99": A_WHILE}],
        ("service", "Open event streams"): [{"streams": exactly(1)}],
        ("service", "Webhooks to call"): [{"due": between(0, 1)}, {"failed, later again": between(0, 1)}],
        ("service", "Webhook calls"): [{"delivered": near(2), "failed": between(0, 5)}],
        ("money", "Spent today (UTC)"): [{"": between(did.spent - 1e-6, did.spent + 1e-6)}],
        ("money", "Balance at FAL"): [{"": exactly(1000)}],
        ("money", "Pictures that it pays for"): [{"": between(1000, 1_000_000)}],
        ("money", "Cost of a picture"): [{"": near((did.cost + did.other_cost) / did.succeeded)}],
        ("money", "Over budget"): [{"": NOTHING}],
        ("money", "Refused for their budget"): [{"": near(did.over_budget)}],
        ("money", "Dollars each hour"): [
            {MODEL: near(did.cost * 3600 / seconds), OTHER_MODEL: near(did.other_cost * 3600 / seconds)}
        ],
        ("money", "Booked, by model"): [{MODEL: near(did.cost), OTHER_MODEL: near(did.other_cost)}],
        ("money", "Spent today, by key"): [{"ann": between(did.spent - 1e-6, did.spent + 1e-6)}],
        ("money", "FAL's bills against our quotes"): [{MODEL: AS_QUOTED, "*": AS_QUOTED}],
        ("money", "Bills that contradict the price list"): [{MODEL: NOTHING, "*": NOTHING}],
        ("fal", "Runs at once"): [{"": exactly(1000)}],
        ("fal", "Running"): [{"": exactly(1)}],
        ("fal", "Waiting at FAL"): [{"": NOTHING}],
        ("fal", "Pauses"): [{"": NOTHING}],
        ("fal", "Models with an open circuit"): [{"": NOTHING}],
        ("fal", "Age of the model list"): [{"": between(0, 300)}],
        ("fal", "Time of a generation, p50"): [{MODEL: between(0.2, 20), OTHER_MODEL: between(0.2, 20)}],
        ("fal", "Time of a generation, p95"): [{MODEL: between(0.2, 30), OTHER_MODEL: between(0.2, 30)}],
        ("fal", "Generations, by outcome"): [
            {
                f"{MODEL}: completed": near(6),
                f"{OTHER_MODEL}: completed": near(3),
                f"{MODEL}: failed": near(did.failed),
            }
        ],
        ("fal", "At FAL"): [
            {"running": exactly(1)}, {"waiting there": NOTHING}, {"permits": exactly(1)},
            {"limit": exactly(1000)},
        ],
        ("fal", "Calls each second"): [
            {"submit: ok": near((did.succeeded + did.failed + 1) / seconds), **a_second}
        ],
        ("fal", "Time of calls, p95"): [{"submit": A_WHILE, "upload": A_WHILE, "*": between(0, 60)}],
        ("fal", "In doubt"): [
            {"replies lost": NOTHING}, {"to be deleted at FAL": NOTHING}, {"deletions that fail": NOTHING}
        ],
        ("store", "Takes writes"): [{"": exactly(1)}],
        ("store", "Memory"): [{"": between(500_000, 500_000_000)}],
        ("store", "Limit of its memory"): [{"": NOTHING}],
        ("store", "Replicas"): [{"": NOTHING}],
        ("store", "Free on the storage's disk"): [{"": between(1_000_000, 1e15)}],
        ("store", "Rollbacks"): [{"": NOTHING}],
        ("store", "State"): [{"writable": exactly(1)}],
        ("store", "Commands each second"): [{"commands": between(5, 50_000)}],
        ("store", "Commands for each picture"): [{"commands": between(20, 100_000)}],
        ("store", "Memory over time"): [{"memory": between(500_000, 500_000_000)}],
        ("store", "Restarts, failovers, lost leases"): [
            {"another server process": NOTHING}, {"leases lost": NOTHING}, {"workers lost, in all": NOTHING}
        ],
        ("store", "Tasks in the event loops"): [{"api": between(3, 500), "worker": between(3, 500)}],
        ("job", "Time of a worker's run, p95"): [{"generate_model": between(0.2, 60), "*": between(0, 60)}],
        ("job", "Time at FAL, p95"): [{MODEL: between(0.2, 30), OTHER_MODEL: between(0.2, 30)}],
    }  # fmt: skip


def differences(one: Query, found: list[tuple[dict[str, str], float]], wanted: Expected) -> list[str]:
    """What of a query's result is not as it should be."""
    named = {one.name_of(labels): value for labels, value in found}
    where = f"{one.dashboard}, {one.panel}, {one.legend}"
    if len(named) < len(found):
        return [f"{where}: two series have one name: {found}"]
    wrong = [f"{where}: {name!r} is missing in {named}" for name in wanted.keys() - named.keys() - {"*"}]
    for name, value in named.items():
        check = wanted.get(name) or wanted.get("*")
        if math.isnan(value) and name not in wanted and "*" in wanted:
            continue  # a quantile of what did not happen in the range
        if check is None or not check(value):
            wrong.append(f"{where}: {name!r} is {value} of {named}")
    return wrong if named else [f"{where}: is empty"]


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        ([], "is empty"),
        ([({"state": "b"}, 1.0)], "'a' is missing"),
        ([({"state": "a"}, 2.0)], "'a' is 2.0"),
        ([({"state": "a"}, 1.0), ({"state": "b"}, 1.0)], "'b' is 1.0"),
        ([({"state": "a"}, 1.0), ({"state": "a"}, 1.0)], "two series have one name"),
        ([({"state": "a"}, math.nan)], "'a' is nan"),
    ],
)
def test_panel_that_shows_something_else_is_noticed(
    found: list[tuple[dict[str, str], float]], complaint: str
) -> None:
    one = Query("service", "a panel", "up", "{{state}}")
    assert any(complaint in wrong for wrong in differences(one, found, {"a": exactly(1)}))
    assert differences(one, [({"state": "a"}, 1.0)], {"a": exactly(1)}) == []


async def scraped(prometheus: Prometheus) -> float:
    """Wait until every target has been scraped once more; returns when the first of them was, in seconds
    since the epoch. What happens next is counted from there on, however late a busy machine scrapes.
    """
    now = time.time()
    await reached(prometheus, f"count(timestamp(up) > {now}) == bool count(up)", 1)
    ((_, first),) = prometheus.query("min(timestamp(up))")
    return first


@asynccontextmanager
async def watched(redis_url: str, folder: Path) -> AsyncIterator[tuple[KeyedWorld, Prometheus]]:
    """An API, a worker, an emulator and Prometheus."""
    api, worker = free_port("127.0.0.1"), free_port("127.0.0.1")
    settings = {
        "I2M_WEBHOOK_ALLOW_PRIVATE": "1",
        "I2M_METRICS_TOKEN": TOKEN,
        "I2M_FAL_ADMIN_KEY": ADMIN_KEY,
        "I2M_WORKER_METRICS_PORT": str(worker),
    }
    async with fleet_on(redis_url, folder) as fleet:
        await fleet.start_api(api, **settings, I2M_AUTH="keys", I2M_ADMIN_KEY=ADMIN)
        fleet.start_worker(**settings)
        targets = {"api": [f"127.0.0.1:{api}"], "worker": [f"127.0.0.1:{worker}"]}
        with prometheus_of(folder, targets, TOKEN) as prometheus:
            service = Service(Address("127.0.0.1", api), folder / "files")
            yield KeyedWorld(fleet, service, settings), prometheus


def spent_on(job: dict[str, Any]) -> float:
    """Dollars, by the job's document."""
    return sum(image["cost_usd"] or 0 for image in job["images"])


async def generate(
    world: KeyedWorld, ann: Caller, count: int, model: str = MODEL, **fields: str
) -> dict[str, Any]:
    """A job, once it has ended."""
    uploaded = ann.upload(batch(count, model=model, no_cache="true", **fields))
    assert uploaded.status == 202, uploaded.body
    return await world.ended(ann, uploaded.text("job_id"))


async def reached(prometheus: Prometheus, expression: str, value: float) -> None:
    """Wait until a query has this one value."""

    async def so() -> bool:
        return [found for _, found in await asyncio.to_thread(prometheus.query, expression)] == [value]

    await until(so, timeout=60)


@pytest.mark.long
async def test_every_panel_shows_what_the_service_did(redis_url: str, tmp_path: Path) -> None:
    async with (
        watched(redis_url, tmp_path) as (world, prometheus),
        receiving(answering("200 OK")) as receiver,
        receiving(answering("503 No")) as broken,
        AsyncExitStack() as following,
    ):
        ann, poor = world.caller(name="ann"), world.caller(name="poor", budget="0.01/total")
        stream = await following.enter_async_context(
            opened(world.service.address, "/api/v1/events", key=ann.key)
        )
        assert stream.status == 200
        # each kind once, so that every series is there
        spent = spent_on(await generate(world, ann, 1, webhook_url=receiver.url))
        spent += spent_on(await generate(world, ann, 1, OTHER_MODEL, webhook_url=broken.url))
        world.fleet.emulator.fault("422", count=1)
        spent += spent_on(await generate(world, ann, 1))
        ann.get("status/nothing")
        assert poor.upload(batch()).code == "budget_exceeded"
        images = "sum(image2model_images_total)"
        assert await stream.next()
        await reached(prometheus, images, 3)
        await reached(prometheus, 'sum(image2model_webhook_calls_total{outcome="delivered"})', 1)
        began = await scraped(prometheus)

        did = Deeds()
        job = await generate(world, ann, 6, webhook_url=receiver.url)
        other = await generate(world, ann, 3, OTHER_MODEL, webhook_url=receiver.url)
        world.fleet.emulator.fault("422", count=did.failed)
        failures = await generate(world, ann, did.failed)
        for _ in range(did.not_found):
            ann.get("status/nothing")
        for _ in range(did.over_budget):
            assert poor.upload(batch()).code == "budget_exceeded"
        world.fleet.emulator.settings(latency=600)
        ann.upload(batch(no_cache="true"))
        await reached(prometheus, images, 3 + did.succeeded + did.failed)
        await reached(prometheus, "max(image2model_fal_running)", 1)
        await reached(prometheus, 'sum(image2model_webhook_calls_total{outcome="delivered"})', 3)
        await reached(
            prometheus, 'sum(image2model_refusals_total{code="budget_exceeded"})', 1 + did.over_budget
        )
        while time.time() - began < 15:  # scrapes enough for a rate
            await asyncio.sleep(0.2)

        cost, other_cost = spent_on(job) + spent_on(failures), spent_on(other)
        did = Deeds(cost=cost, other_cost=other_cost, spent=spent + cost + other_cost)
        seconds = int(time.time() - began) + 2
        wanted = expected(did, seconds)
        asked = list(queries("prometheus"))
        assert {(one.dashboard, one.panel) for one in asked} == wanted.keys()
        wrong = []
        for key, checks in wanted.items():
            of_panel = [one for one in asked if (one.dashboard, one.panel) == key]
            for one, check in zip(of_panel, checks, strict=True):
                wrong += differences(one, prometheus.query(one.of_range(seconds)), check)
        assert not wrong, json.dumps(wrong, indent=1)
