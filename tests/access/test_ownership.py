"""Two keys on all routes across each other: what another owns does not exist, in any way that shows."""

import time
import uuid
from pathlib import Path

import pytest
from redis.asyncio import Redis
from starlette.routing import Route

from image2model.api.routes import routes
from tests.access.conftest import MakeCaller
from tests.support import worker_steps
from tests.support.callers import Caller
from tests.support.served_api import Answer, Service, batch

NO_OWNER = {"/metrics", "/api/v1/files/{token}", "/api/v1/webhooks/fal"}


def filled(path: str, job_id: str, image_id: str) -> str:
    other = "0" * 16
    return path.format(job_id=job_id, image_id=image_id, token="t", key_id=other, delivery_id=other, name="x")


def shown(answer: Answer) -> tuple[int, object, dict[str, str]]:
    """All of an answer that could tell something: everything but its own request id, and the clock."""
    body = answer.body if "json" in answer.headers.get("content-type", "") else answer.content
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name != "request_id"}
    own = {"x-request-id", "date", "ratelimit"}
    return answer.status, body, {name: value for name, value in answer.headers.items() if name not in own}


@pytest.fixture
async def couple(make_caller: MakeCaller) -> tuple[Caller, Caller]:
    """Ann, and bob who wants to know."""
    return await make_caller("ann"), await make_caller("bob")


async def test_all_routes_tell_bob_nothing_of_anns_job(
    couple: tuple[Caller, Caller], redis: Redis, tmp_path: Path
) -> None:
    ann, bob = couple
    uploaded = ann.upload(batch(2))
    job_id = uploaded.text("job_id")
    for claim in (await worker_steps.claim(redis, 2))[:1]:
        await worker_steps.succeed(redis, claim, job_id, (tmp_path / "files").as_uri())
    image_id = str(uploaded.items("images")[0]["image_id"])
    asked = 0
    for route in routes():
        assert isinstance(route, Route)
        if "{job_id}" not in route.path:
            continue
        for method in sorted((route.methods or set()) - {"HEAD"}):
            foreign = bob.send(method, filled(route.path, job_id, image_id))
            nothing = bob.send(method, filled(route.path, uuid.uuid4().hex, uuid.uuid4().hex))
            assert shown(foreign) == shown(nothing), (method, route.path)
            assert (foreign.status, foreign.code) == (404, "not_found"), (method, route.path)
            asked += 1
    assert asked >= 7
    assert ann.get(f"status/{job_id}").body["counts"]["succeeded"] == 1  # type: ignore[index]


async def test_idempotency_key_of_another_is_free(couple: tuple[Caller, Caller]) -> None:
    ann, bob = couple
    of_ann = ann.upload(batch(), idempotency_key="same")
    of_bob = bob.upload(batch(), idempotency_key="same")
    assert of_ann.text("job_id") != of_bob.text("job_id")
    assert "idempotent-replayed" not in of_bob.headers


async def test_lists_hold_only_ones_own(couple: tuple[Caller, Caller]) -> None:
    ann, bob = couple
    job_id = ann.upload(batch()).text("job_id")
    for path in ("/api/v1/jobs",):
        assert job_id.encode() not in bob.get(path).content


async def test_file_links_open_without_a_key_and_only_whole(
    couple: tuple[Caller, Caller], service: Service
) -> None:
    ann, _ = couple
    made = ann.upload(batch())
    image_id = made.items("images")[0]["image_id"]
    link = ann.get(f"download/{made.text('job_id')}/{image_id}?file=original").headers["location"]
    assert service.get(link).status == 200
    assert service.get(link[:-2] + ("aa" if link[-2:] != "aa" else "bb")).status == 404


async def test_foreign_and_missing_jobs_take_the_same_time(couple: tuple[Caller, Caller]) -> None:
    ann, bob = couple
    job_id = ann.upload(batch(5)).text("job_id")

    def took(path: str) -> float:
        begun = time.perf_counter()
        assert bob.get(path).status == 404
        return time.perf_counter() - begun

    # in turn, and by the quickest, which a busy machine disturbs least
    pairs = [(took(f"status/{job_id}"), took(f"status/{uuid.uuid4().hex}")) for _ in range(100)]
    foreign, missing = (min(side) for side in zip(*pairs, strict=True))
    assert abs(foreign - missing) < max(0.001, 0.5 * missing)
