"""What ends a `Prefer: wait` early, or may not: a stop of the process, a revoked key, an outage of the store.

The job was accepted, so the answer is its document in any case.
"""

import asyncio
import signal

import pytest
from redis.asyncio import Redis

from image2model.access import keys
from image2model.up.store import EmbeddedStore
from tests.support.callers import ADMIN
from tests.support.fleet import Fleet
from tests.support.jobs import pick, run
from tests.support.ports import free_port
from tests.support.served_api import MakeService
from tests.support.servers import Address
from tests.support.waiting import APPLIED, LONG, begun, client, upload


async def test_a_stopping_process_answers_with_the_job_as_it_is(fleet: Fleet) -> None:
    address = Address("127.0.0.1", free_port())
    api = await fleet.start_api(address.port)
    async with client(address) as one, begun(one, upload(one)) as request:
        await pick(fleet.redis)
        api.send(signal.SIGTERM)
    assert request.result().status_code == 202
    assert request.result().headers[APPLIED] == "wait=50"
    assert request.result().json()["status"] == "running"
    assert await api.exit_code() == 0


async def test_a_stopping_process_answers_everyone(fleet: Fleet) -> None:
    address = Address("127.0.0.1", free_port())
    api = await fleet.start_api(address.port)
    async with client(address) as one, asyncio.timeout(60):
        requests = [asyncio.create_task(upload(one)) for _ in range(49)]
        async with begun(one, upload(one), count=50) as last:
            api.send(signal.SIGTERM)
        answers = await asyncio.gather(*requests, last)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["job_id"] for answer in answers}) == 50
    assert await api.exit_code() == 0


async def test_a_revoked_key_learns_nothing_that_came_after_its_request(
    make_keyed_service: MakeService, redis: Redis
) -> None:
    service = make_keyed_service()
    ann = await keys.create(redis, keys.KeyRequest(name="ann"))
    key, admin = ({"Authorization": f"Bearer {one}"} for one in (ann.key, ADMIN))
    async with (
        client(service.address) as one,
        begun(one, upload(one, headers={**LONG, **key}), headers=admin) as request,
    ):
        await pick(redis)
        assert (await one.delete(f"admin/keys/{ann.key_id}", headers=admin)).status_code == 204
    assert request.result().status_code == 202
    assert request.result().json()["status"] == "queued"


@pytest.mark.long
async def test_an_outage_of_the_store_does_not_take_the_answer(
    make_service: MakeService, own_store: EmbeddedStore
) -> None:
    service = make_service(redis_url=own_store.url)
    async with (
        client(service.address) as one,
        begun(one, upload(one, headers={"Prefer": "wait=5"})) as request,
    ):
        own_store.kill()
    assert request.result().status_code == 202
    assert request.result().json()["status"] == "queued"


async def test_a_wait_outlasts_a_lost_connection_to_the_store(
    make_service: MakeService, redis: Redis
) -> None:
    """The end comes while nobody is subscribed; the relay finds it in the history."""
    service = make_service()
    async with client(service.address) as one, begun(one, upload(one)) as request:
        await redis.client_kill_filter(_type="pubsub")
        await run(redis)
    assert request.result().json()["status"] == "succeeded"
