"""`Prefer: wait` and finished streams through nginx with the shipped configuration."""

import asyncio
import signal

import httpx
import pytest

from tests.docker.conftest import MakeCluster
from tests.support.batches import batch
from tests.support.cluster import Cluster
from tests.support.jobs import fail, pick, run, submit
from tests.support.sse import job_path, opened
from tests.support.waiting import APPLIED, LONG, client, until_waiting, upload


async def test_the_answer_comes_with_the_end_of_the_job(make_cluster: MakeCluster) -> None:
    async with make_cluster(replicas=1, workers=0) as cluster, client(cluster.address) as one:
        task = await _begun(cluster, one)
        await run(cluster.fleet.redis)
        answer = await asyncio.wait_for(task, 20)
    assert answer.json()["status"] == "succeeded"
    assert answer.headers[APPLIED] == "wait=50"


async def test_a_client_that_leaves_ends_the_wait_behind_nginx(make_cluster: MakeCluster) -> None:
    async with make_cluster(replicas=1, workers=0) as cluster, client(cluster.address) as one:
        task = await _begun(cluster, one)
        task.cancel()
        await asyncio.wait([task])
        async with client(cluster.direct(cluster.replicas[0])) as replica:
            await until_waiting(replica, 0)


async def test_a_replica_that_stops_answers_whoever_waits(make_cluster: MakeCluster) -> None:
    async with make_cluster(replicas=1, workers=0) as cluster, client(cluster.address) as one:
        task = await _begun(cluster, one)
        (api,) = cluster.apis.values()
        api.send(signal.SIGTERM)
        answer = await asyncio.wait_for(task, 20)
        assert await api.exit_code() == 0
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")


@pytest.mark.long
async def test_the_longest_wait_is_shorter_than_nginx_s_patience(make_cluster: MakeCluster) -> None:
    """Of an upload, which has a location of its own, and of a retry, which has that of all other calls."""
    async with make_cluster(replicas=1, workers=0) as cluster, client(cluster.address) as one:
        redis = cluster.fleet.redis
        failed = (await upload(one, headers={})).json()["job_id"]
        (claim,) = await pick(redis)
        await submit(redis, claim)
        await fail(redis, claim)
        answers = await asyncio.gather(
            upload(one, headers={"Prefer": "wait=600"}, no_cache="true"),
            one.post(f"jobs/{failed}/retry", headers=LONG),
        )
    assert [(answer.status_code, answer.headers[APPLIED]) for answer in answers] == [(202, "wait=50")] * 2
    assert {answer.json()["status"] for answer in answers} == {"queued"}


async def test_a_finished_stream_names_its_type(make_cluster: MakeCluster) -> None:
    """Clients look at the type before the status: httpx-sse refuses a 204 without it."""
    async with make_cluster(replicas=1, workers=0) as cluster:
        job_id = (await cluster.upload(batch())).text("job_id")
        await run(cluster.fleet.redis)
        async with opened(cluster.address, job_path(job_id)) as stream:
            last = (await stream.rest())[-1]
        assert last.event == "complete"
        async with opened(cluster.address, job_path(job_id), last_id=last.id) as again:
            assert again.status == 204
            assert again.headers["content-type"].startswith("text/event-stream")
            assert "content-length" not in again.headers  # RFC 9110, 8.6: never in a 204


async def _begun(cluster: Cluster, one: httpx.AsyncClient) -> "asyncio.Task[httpx.Response]":
    task = asyncio.create_task(upload(one))
    async with client(cluster.direct(cluster.replicas[0])) as replica:
        await until_waiting(replica)
    return task
