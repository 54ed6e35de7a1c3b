"""The status of a job: its document, its validator, and who may see it."""

import pytest
from redis.asyncio import Redis

from image2model.store.keys import key
from tests.support.served_api import Service, batch
from tests.support.worker_steps import claim

NOBODY = "0" * 32


async def test_etag_changes_with_every_change_and_spares_the_rest(service: Service, redis: Redis) -> None:
    url = service.upload(batch(2)).headers["location"]
    first = service.get(url)
    tag = first.headers["etag"]
    for asked in (tag, f'"other", W/{tag}', "*"):
        unchanged = service.get(url, if_none_match=asked)
        assert (unchanged.status, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
        assert unchanged.headers["cache-control"] == first.headers["cache-control"]
    await claim(redis)
    changed = service.get(url, if_none_match=tag)
    assert (changed.status, changed.body["status"]) == (200, "running")
    assert changed.headers["etag"] != tag


@pytest.mark.parametrize("job_id", [NOBODY, "x", "%2e%2e", "a" * 300])
def test_unknown_job_is_not_found(service: Service, job_id: str) -> None:
    for path in (f"status/{job_id}", f"download/{job_id}", f"download/{job_id}/{NOBODY}"):
        answer = service.get(path)
        assert (answer.status, answer.code) == (404, "not_found")


async def test_job_of_another_owner_is_not_found(service: Service, redis: Redis) -> None:
    job_id = service.upload(batch()).text("job_id")
    await redis.hset(key("job", job_id), "owner", "somebody else")
    assert service.get(f"status/{job_id}").status == 404
    assert service.post(f"jobs/{job_id}/cancel").status == 404
    assert service.post(f"jobs/{job_id}/retry").status == 404
    assert service.send("DELETE", f"/api/v1/jobs/{job_id}").status == 404


async def test_expired_job_is_gone(service: Service, redis: Redis) -> None:
    job_id = service.upload(batch()).text("job_id")
    service.post(f"jobs/{job_id}/cancel")
    await redis.hset(key("job", job_id), "expires_at", "1000")
    for path in (f"status/{job_id}", f"download/{job_id}", f"status/stream/{job_id}"):
        answer = service.get(path)
        assert (answer.status, answer.code) == (410, "expired")


def test_other_methods_and_addresses_are_problems(service: Service) -> None:
    url = service.upload(batch()).headers["location"]
    wrong = service.post(url)
    assert (wrong.status, wrong.code) == (405, "method_not_allowed")
    assert "GET" in wrong.headers["allow"]
    assert service.get("nothing/here").code == "not_found"
    head = service.send("HEAD", url)
    assert (head.status, head.content, head.headers["content-type"]) == (200, b"", "application/json")


def test_other_sites_are_refused(service: Service) -> None:
    answer = service.upload(batch(), origin="https://evil.example")
    assert (answer.status, answer.code) == (403, "forbidden")
    assert service.stored() == []
