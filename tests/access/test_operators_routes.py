"""What only admins may see or do, and what only a job's owner may."""

import pytest
from redis.asyncio import Redis

from tests.access.conftest import MakeCaller
from tests.support.callers import Caller
from tests.support.served_api import batch
from tests.support.worker_steps import claim, fail


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "admin/dead"),
        ("POST", "admin/dead/replay"),
        ("POST", f"admin/dead/{'0' * 32}/replay"),
        ("GET", "admin/workers"),
        ("GET", "admin/jobs"),
    ],
)
async def test_user_is_no_admin(make_caller: MakeCaller, method: str, path: str) -> None:
    ann = await make_caller()
    answer = ann.send(method, path, b'{"all": true}' if method == "POST" else None)
    assert (answer.status, answer.code) == (403, "forbidden")


async def test_admin_sees_and_replays_what_failed_for_others(
    admin: Caller, make_caller: MakeCaller, redis: Redis
) -> None:
    ann = await make_caller()
    job_id = ann.upload(batch()).text("job_id")
    (held,) = await claim(redis)
    await fail(redis, held)
    (dead,) = admin.get("admin/dead").items("images")
    assert (dead["image_id"], dead["owner"]) == (held.task_id, ann.owner)
    assert [job["owner"] for job in admin.get("admin/jobs").items("jobs")] == [ann.owner]
    assert admin.post(f"admin/dead/{held.task_id}/replay").status == 202
    assert ann.get(f"status/{job_id}").body["status"] == "queued"


async def test_deliveries_are_their_owners_alone(make_caller: MakeCaller) -> None:
    ann, bob = await make_caller("ann"), await make_caller("bob")
    job_id = ann.upload(batch(webhook_url="https://hooks.example.com/")).text("job_id")
    assert ann.get(f"jobs/{job_id}/webhooks").status == 200
    assert bob.get(f"jobs/{job_id}/webhooks").code == "not_found"
    assert bob.post(f"jobs/{job_id}/webhooks/{job_id}-1/replay").code == "not_found"
