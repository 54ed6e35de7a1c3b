"""Jobs are found by metadata: all filters at once, page by page, quickly, and only one's own."""

import asyncio
import json
from time import perf_counter
from urllib.parse import urlencode

import pytest
from redis.asyncio import Redis

from image2model.jobs import records
from image2model.operations import housekeeping
from image2model.store.connection import command
from image2model.store.keys import FLEET_TTL_MS, key
from tests.jobs.test_listing import listed
from tests.support.callers import ADMIN, Caller, make_keyed_service
from tests.support.fixtures import MakeJob
from tests.support.served_api import MakeService, Service, batch
from tests.support.worker_steps import claim, fail

__all__ = ["make_keyed_service"]


def made(service: Service, job: object = None, *images: object) -> str:
    """The id of a new job with this metadata, with one image for each that is given."""
    files = [{"part": part, "metadata": one} for part, one in enumerate(images)]
    form = {"metadata": json.dumps(job or {}), "manifest": json.dumps({"files": files})}
    return service.upload(batch(len(images) or 1, **form)).text("job_id")


def found(service: Service, *filters: tuple[str, str], **more: str) -> list[object]:
    pairs = [(f"metadata.{name}", value) for name, value in filters]
    return listed(service, f"?{urlencode([*pairs, *more.items()])}")[0]


def test_job_is_found_by_its_own_metadata_and_by_an_images(service: Service) -> None:
    a = made(service, {"shop": "berlin"}, {"sku": "A-1"}, {"sku": "A-2"})
    b = made(service, {"shop": "berlin"}, {"sku": "B-1"})
    made(service, {"sku": "A"})
    assert found(service, ("shop", "berlin")) == [b, a]
    assert found(service, ("sku", "A-2")) == [a]
    assert found(service, ("shop", "berlin"), ("sku", "B-1")) == [b]
    assert found(service, ("sku", "A-1"), ("sku", "A-2")) == [a]
    assert found(service, ("sku", "A-1"), ("sku", "B-1")) == []
    assert found(service, ("shop", "Berlin")) == found(service, ("Shop", "berlin")) == []
    assert found(service, ("shop", "nowhere")) == []


@pytest.mark.parametrize(
    ("value", "filter_"),
    [
        ("", ""),
        ("Köln & Bonn=1", "Köln & Bonn=1"),
        (12, "12"),
        (1.0, "1"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (1e21, "1e21"),
        (True, "true"),
        (None, "null"),
        ("12", "12"),
    ],
)
def test_filter_is_written_as_json_writes_the_value(service: Service, value: object, filter_: str) -> None:
    job = made(service, {"value": value})
    assert found(service, ("value", filter_)) == [job]
    assert found(service, ("value", f"{filter_}0")) == []


async def test_pages_by_metadata_and_status_neither_repeat_nor_skip(service: Service, redis: Redis) -> None:
    jobs = [made(service, {"n": n % 2, "all": "x"}) for n in range(7)][::-1]
    (first,) = await claim(redis, 1)  # the oldest job's
    await fail(redis, first)
    for query, expected in (
        ("metadata.all=x", jobs),
        ("metadata.n=0", jobs[::2]),
        ("metadata.n=0&metadata.all=x", jobs[::2]),
        ("metadata.all=x&status=queued", jobs[:-1]),
    ):
        seen, cursor = listed(service, f"?limit=2&{query}")
        while cursor:
            page, cursor = listed(service, f"?limit=2&{query}&cursor={cursor}")
            assert len(page) <= 2
            seen += page
        assert seen == expected, query


def test_only_ones_own_jobs_are_found_and_an_admin_finds_all(make_keyed_service: MakeService) -> None:
    admin = Caller(make_keyed_service(), ADMIN)
    keys = [admin.post("admin/keys", json.dumps({"name": name}).encode()).text("key") for name in ("a", "b")]
    ann, bob = (Caller(admin.service, one) for one in keys)
    jobs = [one.upload(batch(1, metadata='{"sku": "A"}')).text("job_id") for one in (ann, bob)]
    assert [job["job_id"] for job in ann.get("jobs?metadata.sku=A").items("jobs")] == jobs[:1]
    assert [job["job_id"] for job in admin.get("admin/jobs?metadata.sku=A").items("jobs")] == jobs[::-1]
    assert admin.get("admin/jobs?metadata.sku=B").items("jobs") == []


@pytest.mark.parametrize(
    "query",
    [
        "metadata.=1",
        "metadata.a%20b=1",
        "metadata." + "k" * 65 + "=1",
        "&".join(f"metadata.k={n}" for n in range(17)),
    ],
)
def test_bad_filter_is_refused_with_what_to_do(service: Service, query: str) -> None:
    answer = service.get(f"jobs?{query}")
    assert (answer.status, answer.code) == (422, "invalid_parameter")
    assert "metadata." in answer.text("detail")


async def test_what_is_deleted_or_expired_leaves_nothing_in_the_index(service: Service, redis: Redis) -> None:
    index = key("owner_metadata", "local")
    deleted, expired, kept = (made(service, {"n": n}, {"sku": "A"}) for n in range(3))
    service.send("DELETE", f"/api/v1/jobs/{deleted}")
    assert found(service, ("sku", "A")) == [kept, expired]
    assert await redis.zcard(index) == 4
    service.post(f"jobs/{expired}/cancel")
    await command(redis, "HSET", key("job", expired), "expires_at", "1000")
    assert found(service, ("sku", "A")) == [kept]
    assert await housekeeping.erase(redis, expired)
    assert await redis.zcard(index) == 2
    assert await redis.hmget(key("job", expired), ["metadata", "metadata_tokens"]) == [None, None]
    await redis.delete(key("job", kept))  # expired by itself
    assert found(service, ("sku", "A")) == []
    assert await housekeeping.prune_owners(redis, older_than_s=0) == 3
    assert not await redis.exists(index)


async def test_erased_job_is_out_of_the_index(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, metadata={f"key{n}": n for n in range(300)}, image_metadata={"sku": "A"})
    assert await redis.zcard(key("owner_metadata", "ann")) == 301
    await records.erase(redis, job.job_id)
    assert not await redis.exists(key("owner_metadata", "ann"))


def test_largest_metadata_of_25_pictures_is_indexed_in_one_step(service: Service) -> None:
    images = [{f"{image:02}_{n:03}": n for n in range(300)} for image in range(25)]
    assert all(3500 < len(json.dumps(one, separators=(",", ":"))) <= 4096 for one in images)
    job = made(service, {}, *images)
    assert found(service, ("24_299", "299"), ("00_000", "0")) == [job]


@pytest.mark.long
async def test_filter_over_thousands_of_jobs_is_quick(
    service: Service, redis: Redis, make_job: MakeJob
) -> None:
    for start in range(0, 3000, 100):
        jobs = [
            make_job(1, owner="local", metadata={"shop": "berlin"}, image_metadata={"sku": f"A-{n}"})
            for n in range(start, start + 100)
        ]
        made_now = await asyncio.gather(*jobs)
        if start == 0:
            first = made_now[0]
    plain = []
    for _ in range(5):
        began = perf_counter()
        service.get("jobs")
        plain.append(perf_counter() - began)
    for query in ("metadata.sku=A-0", "metadata.shop=berlin&metadata.sku=A-0", "metadata.sku=none"):
        took = []
        for _ in range(5):
            began = perf_counter()
            answer = listed(service, f"?{query}")
            took.append(perf_counter() - began)
            assert answer == ([first.job_id] if "A-0" in query else [], None), query
        assert min(took) < 3 * min(plain), (query, took, plain)
    assert 0 < await redis.pttl(key("owner_metadata", "local")) <= FLEET_TTL_MS
