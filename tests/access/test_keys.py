"""Keys: who comes in, and who no longer does."""

import asyncio
import hashlib
from collections.abc import Callable

import msgspec
import pytest
from redis.asyncio import Redis
from starlette.routing import Route

from image2model.access import keys
from image2model.store.keys import key as store_key
from tests.access.conftest import MakeCaller
from tests.support.callers import ADMIN, Caller
from tests.support.served_api import Service, batch

PUBLIC = {"/api/v1/health/live", "/api/v1/health/ready", "/metrics"}


@pytest.mark.also_on_cluster
async def test_a_key_sees_its_job_and_a_request_without_one_is_refused(
    service: Service, make_caller: MakeCaller
) -> None:
    ann = await make_caller()
    job_id = ann.upload(batch(2)).text("job_id")
    assert ann.get(f"status/{job_id}").body["total"] == 2
    refused = service.get(f"status/{job_id}")
    assert (refused.status, refused.code) == (401, "unauthenticated")
    assert refused.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header", ["Bearer wrong", "Basic YTpi", "Bearer", "", "Bearer \xff\xfe", "Bearer " + "x" * 5000]
)
async def test_a_bad_key_is_401(service: Service, header: str) -> None:
    answer = service.send("GET", "/api/v1/status/" + "a" * 32, None, {"Authorization": header})
    assert (answer.status, answer.code) == (401, "unauthenticated")


def test_no_route_answers_without_a_key(service: Service) -> None:
    from image2model.api.routes import routes

    own_credentials = {"/api/v1/files/{token}", "/api/v1/webhooks/fal"}
    for route in routes():
        assert isinstance(route, Route)
        if route.path in PUBLIC | own_credentials:
            continue
        path = route.path.replace("{", "").replace("}", "")
        for method in (route.methods or set()) - {"HEAD"}:
            answer = service.send(method, path, None, {})
            expected = (
                (422, "invalid_parameter")
                if (method, path) == ("POST", "/api/v1/session")
                else (401, "unauthenticated")
            )
            assert (answer.status, answer.code) == expected, (method, path)


def test_no_other_spelling_of_a_route_answers_or_redirects(service: Service) -> None:
    """A redirect to the right spelling would come before the gate, to whatever host the request named."""
    for path in ("/api/v1/jobs/", "/api/v1/admin/keys/", "/metrics/", "/api/v1//jobs", "/API/v1/jobs"):
        answer = service.send("GET", path, None, {"Host": "evil.example"})
        assert (answer.status, answer.code) == (404, "not_found"), path
        assert "location" not in answer.headers


def test_health_and_metrics_need_no_key(service: Service) -> None:
    for path in PUBLIC:
        assert service.get(path).status == 200


@pytest.mark.also_on_cluster
async def test_revoked_key_is_refused_by_every_process_at_once(
    make_service: Callable[..., Service], admin: Caller, make_caller: MakeCaller
) -> None:
    other = make_service()
    ann = await make_caller()
    job_id = ann.upload(batch()).text("job_id")
    assert ann.on(other).get(f"status/{job_id}").status == 200
    assert admin.send("DELETE", f"admin/keys/{ann.key_id}").status == 204
    for caller in (ann, ann.on(other)):
        assert caller.get(f"status/{job_id}").status == 401
        assert caller.upload(batch()).status == 401


async def test_expired_key_is_refused(make_caller: MakeCaller) -> None:
    ann = await make_caller(expires="1ms")
    await asyncio.sleep(0.01)
    assert ann.get("session").status == 401


async def test_revoked_key_opens_nothing_as_the_settings_admin_key_either(
    make_service: Callable[..., Service], admin: Caller, make_caller: MakeCaller
) -> None:
    ann = await make_caller()
    elsewhere = ann.on(make_service(admin_key=ann.key))
    assert admin.send("DELETE", f"admin/keys/{ann.key_id}").status == 204
    assert elsewhere.get("admin/keys").status == 401
    body = msgspec.json.encode({"key": ann.key})
    assert elsewhere.service.post("session", body).status == 401


async def test_only_a_key_that_opens_counts_as_one(make_caller: MakeCaller, redis: Redis) -> None:
    assert not await keys.any_valid(redis)
    await make_caller(expires="1ms")
    await asyncio.sleep(0.01)
    assert not await keys.any_valid(redis)
    await make_caller(expires="1h")
    assert await keys.any_valid(redis)


@pytest.mark.parametrize(
    "options",
    [
        {"expires": "9999999999d"},
        {"expires": "9" * 400 + "d"},
        {"rate": "9" * 30 + "/min"},
        {"max_queued": 10**20},
        {"max_queued": 2**63},
    ],
)
async def test_key_beyond_all_bounds_is_refused_and_spoils_no_list(
    admin: Caller, options: dict[str, object]
) -> None:
    refused = admin.post("admin/keys", msgspec.json.encode({"name": "x", **options}))
    assert (refused.status, refused.code) == (422, "invalid_parameter")
    assert admin.get("admin/keys").body == {"keys": []}


async def test_keys_are_stored_hashed_and_shown_once(admin: Caller, redis: Redis) -> None:
    made = admin.post(
        "admin/keys", msgspec.json.encode({"name": "shop", "rate": "5/min", "budget": "1.50/day"})
    )
    assert made.status == 201
    key = made.text("key")
    assert made.body["prefix"] == key[:10]
    listed = admin.get("admin/keys")
    assert key.encode() not in listed.content
    (row,) = listed.items("keys")
    assert (row["name"], row["rate"], row["budget"], row["status"]) == ("shop", "5/min", "1.50/day", "active")
    dump = [await redis.dump(name) async for name in redis.scan_iter()]
    assert not any(key.encode() in one or ADMIN.encode() in one for one in dump)
    assert await redis.exists(store_key("api_key", hashlib.sha256(key.encode()).hexdigest()))


async def test_last_use_is_noted(admin: Caller, make_caller: MakeCaller) -> None:
    ann = await make_caller()
    assert admin.get("admin/keys").items("keys")[0]["last_used_at"] is None
    ann.get("session")
    assert admin.get("admin/keys").items("keys")[0]["last_used_at"]


async def test_admin_routes_are_forbidden_for_users(make_caller: MakeCaller, admin: Caller) -> None:
    ann, root = await make_caller(), await make_caller("root", role="admin")
    body = msgspec.json.encode({"name": "x"})
    for method, path in (
        ("GET", "admin/keys"),
        ("POST", "admin/keys"),
        ("DELETE", f"admin/keys/{ann.key_id}"),
    ):
        refused = ann.send(method, path, body if method == "POST" else None)
        assert (refused.status, refused.code) == (403, "forbidden")
    assert root.get("admin/keys").status == admin.get("admin/keys").status == 200


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"name": "a", "rate": "fast"},
        {"name": "a", "budget": "12"},
        {"name": "a", "role": "god"},
        {"name": "a", "max_queued": 0},
        {"name": "a", "expires": "soon"},
        {"name": "a", "more": 1},
        {"name": "a", "owner": "*"},
    ],
)
def test_impossible_keys_are_refused(admin: Caller, options: dict[str, object]) -> None:
    assert admin.post("admin/keys", msgspec.json.encode(options)).code == "invalid_parameter"


async def test_successor_of_a_key_sees_the_same_jobs(make_caller: MakeCaller) -> None:
    old = await make_caller()
    job_id = old.upload(batch()).text("job_id")
    new = await make_caller("successor", owner=old.owner)
    assert new.get(f"status/{job_id}").status == 200


def test_admin_key_of_the_settings_may_be_of_any_letters(make_service: Callable[..., Service]) -> None:
    key = "schlüssel-zum-öffnen-der-türen"
    service = make_service(admin_key=key, metrics_token=key)
    for as_sent in (key.encode().decode("latin-1"), key):  # as curl does, and as http.client does
        assert service.get("session", authorization=f"Bearer {as_sent}").status == 200
    assert service.post("session", msgspec.json.encode({"key": key})).status == 201
    scrape = f"Bearer {key}".encode().decode("latin-1")
    assert service.get("/metrics", authorization=scrape).status == 200
