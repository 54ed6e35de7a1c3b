"""Event streams through nginx with the shipped configuration. The tests move the images themselves."""

import asyncio
import re
import signal
from statistics import median
from time import perf_counter

import httpx
import pytest

from tests.docker.conftest import MakeCluster
from tests.support.batches import batch
from tests.support.cluster import Cluster
from tests.support.jobs import finish, pick, submit
from tests.support.servers import Address
from tests.support.sse import EVENTS, Stream, job_path, opened

AT_ONCE_S = 0.1
SLOWER = 5.0
"""Times what the replica itself takes: a machine that is busy is busy for both."""


async def test_first_event_comes_at_once(make_cluster: MakeCluster) -> None:
    async with make_cluster(replicas=1, workers=0) as cluster:
        job_id = (await cluster.upload(batch(25))).text("job_id")
        replica = cluster.direct(cluster.replicas[0])
        for path in (job_path(job_id), EVENTS):
            taken: list[float] = []
            direct: list[float] = []
            for _ in range(7):
                taken.append(await _first_event_seconds(cluster.address, path))
                direct.append(await _first_event_seconds(replica, path))
            assert median(taken) < _bound(direct), (taken, direct)


@pytest.mark.long
async def test_no_event_waits_for_a_later_one(make_cluster: MakeCluster) -> None:
    async with make_cluster(replicas=1, workers=0) as cluster:
        redis = cluster.fleet.redis
        job_id = (await cluster.upload(batch(20))).text("job_id")
        delays: list[float] = []
        direct: list[float] = []
        async with (
            opened(cluster.address, job_path(job_id)) as job,
            opened(cluster.address, EVENTS) as all_jobs,
            opened(cluster.direct(cluster.replicas[0]), EVENTS) as beside,
        ):
            for stream in (job, all_jobs, beside):
                await stream.next()
            for _ in range(20):
                started = perf_counter()
                await pick(redis, 1)
                assert (await beside.take(1))[0].brief == ("image", "preparing")
                direct.append(perf_counter() - started)
                assert (await job.take(1))[0].brief == ("image", "preparing")
                assert (await all_jobs.take(1))[0].brief == ("image", "preparing")
                delays.append(perf_counter() - started)
        assert job.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in job.headers
        assert median(delays) < _bound(direct), (delays, direct)


@pytest.mark.long
async def test_stream_goes_on_at_another_replica_after_the_first_was_killed(
    make_cluster: MakeCluster,
) -> None:
    async with make_cluster(workers=0) as cluster:
        redis = cluster.fleet.redis
        job_id = (await cluster.upload(batch(3))).text("job_id")
        async with opened(cluster.address, job_path(job_id)) as stream:
            seen = await stream.take(1)
            claims = await pick(redis)
            seen += await stream.take(3)
            await submit(redis, claims[0])
            seen += await stream.take(1)
            killed = await _replica_of_the_stream(cluster)
            cluster.apis[killed].send(signal.SIGKILL)
            assert await _is_cut(stream)
        await finish(redis, claims[0])
        async with opened(cluster.address, job_path(job_id), last_id=seen[-1].id) as stream:
            for claim in claims[1:]:
                await submit(redis, claim)
                await finish(redis, claim)
            seen += await stream.rest()
        assert [event.id for event in seen] == list(range(seen[0].id, seen[-1].id + 1))
        assert seen[-1].brief == ("complete", "succeeded")
        async with opened(cluster.address, job_path(job_id), last_id=seen[0].id) as stream:
            assert await stream.rest() == seen[1:]


def _bound(direct: list[float]) -> float:
    return max(AT_ONCE_S, SLOWER * median(direct))


async def _first_event_seconds(address: Address, path: str) -> float:
    started = perf_counter()
    async with opened(address, path) as stream:
        assert (await stream.take(1))[0].event == "snapshot"
        return perf_counter() - started


async def _replica_of_the_stream(cluster: Cluster) -> str:
    async with httpx.AsyncClient() as client:
        for host in cluster.replicas:
            metrics = await client.get(f"{cluster.direct(host).url}/metrics")
            if re.search(r"^image2model_sse_subscribers 1\.0$", metrics.text, re.MULTILINE):
                return host
    raise AssertionError("no replica has a subscriber")


async def _is_cut(stream: Stream) -> bool:
    """Whether the stream ends without its proper end."""
    try:
        return await stream.next() is not None
    except asyncio.IncompleteReadError:
        return True
