"""Sessions of the page: in by a key, out for good, and of no use to other sites."""

import pytest
from redis.asyncio import Redis

from image2model.access import sessions
from image2model.store.keys import key
from tests.access.conftest import MakeCaller
from tests.support.callers import ADMIN, SAME, Caller, cookie, sign_in
from tests.support.served_api import Service, batch


@pytest.mark.also_on_cluster
async def test_cookie_opens_reads_streams_and_pictures(service: Service, make_caller: MakeCaller) -> None:
    ann = await make_caller()
    job_id = ann.upload(batch()).text("job_id")
    came_in = sign_in(service, ann.key)
    assert came_in.status == 201
    attributes = came_in.headers["set-cookie"].lower()
    assert "httponly" in attributes
    assert "samesite=strict" in attributes
    assert ann.key not in came_in.headers["set-cookie"]
    for path in (f"status/{job_id}", f"download/{job_id}", "session"):
        assert service.send("GET", f"/api/v1/{path}", None, cookie(came_in)).status == 200


async def test_change_by_cookie_needs_our_own_page(service: Service, make_caller: MakeCaller) -> None:
    ann = await make_caller()
    job_id = ann.upload(batch()).text("job_id")
    jar = cookie(sign_in(service, ann.key))
    path = f"/api/v1/jobs/{job_id}/cancel"
    host = f"http://{service.address.host}:{service.address.port}"
    foreign: tuple[dict[str, str], ...] = (
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": host, "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:1"},
    )
    for headers in foreign:
        assert service.send("POST", path, None, {**jar, **headers}).code == "forbidden", headers
    assert service.send("POST", path, None, {**jar, "Origin": host}).status == 202


async def test_session_ends_when_its_key_is_revoked(
    service: Service, admin: Caller, make_caller: MakeCaller
) -> None:
    ann = await make_caller()
    jar = cookie(sign_in(service, ann.key))
    admin.send("DELETE", f"admin/keys/{ann.key_id}")
    assert service.send("GET", "/api/v1/session", None, jar).status == 401


async def test_signed_out_cookie_opens_nothing(service: Service, make_caller: MakeCaller) -> None:
    ann = await make_caller()
    jar = cookie(sign_in(service, ann.key))
    out = service.send("DELETE", "/api/v1/session", None, {**jar, **SAME})
    assert out.status == 204
    assert "max-age=0" in out.headers["set-cookie"].lower()
    assert service.send("GET", "/api/v1/session", None, jar).status == 401


def test_admin_key_of_the_settings_has_sessions_too(service: Service) -> None:
    jar = cookie(sign_in(service, ADMIN))
    assert service.send("GET", "/api/v1/admin/keys", None, jar).status == 200


async def test_a_hundred_sessions_of_a_key_are_kept_and_the_oldest_ends(
    service: Service, make_caller: MakeCaller, redis: Redis
) -> None:
    """Whoever has a key could otherwise fill the store with them, one request each."""
    ann, bob = await make_caller("ann"), await make_caller("bob")
    of_bob = cookie(sign_in(service, bob.key))
    jars = [cookie(sign_in(service, ann.key)) for _ in range(sessions.MAX_SESSIONS + 1)]
    asked = [service.send("GET", "/api/v1/session", None, jar).status for jar in (*jars, of_bob)]
    assert asked == [401] + [200] * (sessions.MAX_SESSIONS + 1)
    assert len([name async for name in redis.scan_iter(key("session", "*"))]) == sessions.MAX_SESSIONS + 1


def test_wrong_key_gets_no_cookie(service: Service) -> None:
    refused = sign_in(service, "i2m_wrong")
    assert refused.code == "unauthenticated"
    assert "set-cookie" not in refused.headers


async def test_other_site_cannot_sign_a_browser_in(service: Service, make_caller: MakeCaller) -> None:
    ann = await make_caller()
    assert sign_in(service, ann.key, {"Sec-Fetch-Site": "cross-site"}).code == "forbidden"
    assert sign_in(service, ann.key, {"Origin": "https://evil.example"}).code == "forbidden"


async def test_key_in_the_header_signs_in_too(make_caller: MakeCaller) -> None:
    assert (await make_caller()).post("session").status == 201
