"""Uploads, reads and refusals through nginx with the shipped configuration."""

import asyncio
import gzip
import json
import re

import pytest

from image2model.up.store import EmbeddedStore
from tests.docker.conftest import MakeCluster
from tests.support.batches import batch
from tests.support.cluster import Answer, Cluster
from tests.support.multipart_body import Body
from tests.support.nginx import debian_binary
from tests.support.sse import job_path, opened
from tests.support.store_conditions import in_condition


@pytest.mark.long
async def test_largest_batch_goes_through_whole(make_cluster: MakeCluster) -> None:
    async with make_cluster(replicas=1, workers=0) as cluster:
        largest = 10 * 1024 * 1024
        answer = await cluster.upload(batch(25, size=largest - 10_000))
        assert answer.status == 202, answer.content
        assert answer.headers["location"] == f"/api/v1/status/{answer.text('job_id')}"
        job = await cluster.fleet.job(answer.text("job_id"))
        assert job.counts.queued == 25
        assert all(largest - 10_000 < (image.size or 0) <= largest for image in job.images)
        assert not list(cluster.front.folder.glob("client_body/*")), "nginx kept what it should pass on"


@pytest.mark.long
async def test_requests_are_shared_out_evenly(make_cluster: MakeCluster) -> None:
    async with make_cluster(workers=0) as cluster:
        await asyncio.gather(*(cluster.request("GET", "/health/live") for _ in range(60)))
        for seed in range(12):
            assert (await cluster.upload(batch(seed=seed))).status == 202
        reads, writes = _upstreams(cluster, "GET"), _upstreams(cluster, "POST")
        assert len(reads) == len(writes) == 3
        assert min(reads.values()) >= 15, reads
        assert min(writes.values()) >= 2, writes


async def test_api_sees_the_real_client_and_no_other(make_cluster: MakeCluster) -> None:
    async with make_cluster(replicas=1, workers=0) as cluster:
        answer = await cluster.upload(
            batch(), source="127.0.0.9", x_forwarded_for="6.6.6.6", x_request_id="mine-1"
        )
        assert answer.headers["x-request-id"] == "mine-1"
        assert await _client_logged(cluster, "mine-1") == "127.0.0.9"


@pytest.mark.long
async def test_balancer_in_front_is_believed(make_cluster: MakeCluster) -> None:
    async with make_cluster(replicas=1, workers=0) as cluster:
        await cluster.upload(
            batch(), source="127.0.0.1", x_forwarded_for="6.6.6.6, 198.51.100.7", x_request_id="mine-2"
        )
        assert await _client_logged(cluster, "mine-2") == "198.51.100.7"


async def test_nginx_refuses_in_the_form_of_the_api(make_cluster: MakeCluster) -> None:
    async with make_cluster(
        replicas=1, workers=0, I2M_BODY_LIMIT="1m", I2M_ADDRESS_BURST="5", I2M_ADDRESS_RATE="1r/s"
    ) as cluster:
        _is_problem(await cluster.upload(batch(1, size=3_000_000)), 413, "body_too_large")
        _is_problem(await cluster.request("GET", "/../../metrics"), 404, "not_found")
        answers = await asyncio.gather(
            *(cluster.request("GET", "/health/live", source="127.0.0.7") for _ in range(12))
        )
        refused = [answer for answer in answers if answer.status != 200]
        assert 5 <= len(refused) <= 7
        _is_problem(refused[0], 429, "rate_limited")
        assert refused[0].headers["retry-after"] == "1"
        assert (await cluster.request("GET", "/health/live", source="127.0.0.8")).status == 200


@pytest.mark.long
async def test_no_replica_at_all_is_told_as_a_problem(make_cluster: MakeCluster) -> None:
    async with make_cluster(replicas=1, workers=0) as cluster:
        await cluster.apis[cluster.replicas[0]].end()
        _is_problem(await cluster.request("GET", "/health/live"), 502, "bad_gateway")
        assert "Idempotency-Key" in (await cluster.upload(batch())).text("detail")


async def test_api_refusals_reach_the_client_while_it_still_sends(make_cluster: MakeCluster) -> None:
    async with make_cluster(replicas=1, workers=0) as cluster:
        body = Body().file("no-picture.png", b"plain text").file("late.png", bytes(8_000_000))
        _is_problem(await cluster.upload(body), 422, "not_an_image")


@pytest.mark.long
async def test_status_is_compressed_and_still_found_unchanged(make_cluster: MakeCluster) -> None:
    async with make_cluster(replicas=1, workers=0) as cluster:
        job_id = (await cluster.upload(batch(10))).text("job_id")
        packed = await cluster.request("GET", f"/status/{job_id}", accept_encoding="gzip")
        assert packed.headers["content-encoding"] == "gzip"
        assert json.loads(gzip.decompress(packed.content))["job_id"] == job_id
        again = await cluster.request("GET", f"/status/{job_id}", if_none_match=packed.headers["etag"])
        assert again.status == 304


async def test_log_holds_no_secret(make_cluster: MakeCluster) -> None:
    async with make_cluster(replicas=1, workers=0) as cluster:
        await cluster.request("GET", "/files/a-signed-token?sig=secret")
        await cluster.request("GET", "/health/live?key=secret", authorization="Bearer secret")
        assert '"path":"/api/v1/files/..."' in cluster.front.access_log
        assert not re.search("secret|token", cluster.front.access_log)


@pytest.mark.long
async def test_replica_made_anew_at_another_address_is_found(make_cluster: MakeCluster) -> None:
    async with make_cluster(replicas=1, workers=0) as cluster:
        await cluster.start("127.0.1.9")
        cluster.names.addresses = ["127.0.1.9"]
        async with asyncio.timeout(60):
            while f"127.0.1.9:{cluster.port}" not in _upstreams(cluster, "GET"):
                assert (await cluster.request("GET", "/health/live")).status == 200
                await asyncio.sleep(0.1)


async def _client_logged(cluster: Cluster, request_id: str) -> str:
    """The address that the API logs for a request; the line is written after the answer."""
    log = cluster.apis[cluster.replicas[0]].log
    async with asyncio.timeout(60):
        while True:
            for line in map(json.loads, filter(None, log.read_text().splitlines())):
                if line["event"] == "request" and line["request_id"] == request_id:
                    return str(line["client"])
            await asyncio.sleep(0.02)


@pytest.mark.long
async def test_replicas_stay_in_the_balancer_while_the_store_takes_no_writes(
    make_cluster: MakeCluster, valkey: EmbeddedStore
) -> None:
    async with make_cluster(replicas=2, workers=0) as cluster:
        job_id = (await cluster.upload(batch())).text("job_id")
        with in_condition(valkey, "out_of_memory"):
            refused = await cluster.upload(batch())
            _is_problem(refused, 503, "store_unavailable")
            assert "out of memory" in refused.text("detail")
            for path in ("/health/ready", f"/status/{job_id}", "/jobs"):
                for _ in range(4):
                    answer = await cluster.request("GET", path)
                    assert answer.status == 200, answer.content
            assert len(_upstreams(cluster, "GET")) == 2
            async with opened(cluster.address, job_path(job_id)) as stream:
                assert (await stream.take(1))[0].event == "snapshot"
        assert (await cluster.upload(batch())).status == 202


@pytest.mark.long
async def test_older_nginx_of_the_distribution_takes_the_same_configuration(
    make_cluster: MakeCluster,
) -> None:
    program = debian_binary()
    assert program is not None, "run `make setup-test` first: the distribution's nginx is not installed"
    async with make_cluster(program=program, replicas=2) as cluster:
        job_id = (await cluster.upload(batch(5, size=1_000_000))).text("job_id")
        async with opened(cluster.address, job_path(job_id)) as stream:
            events = await stream.rest()
        assert events[-1].brief == ("complete", "succeeded")
        _is_problem(
            await cluster.request("POST", "/upload/batch", bytes(1), content_length="9999999999"),
            413,
            "body_too_large",
        )


def _upstreams(cluster: Cluster, method: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in cluster.front.access_log.splitlines():
        entry = json.loads(line)
        if entry["method"] == method and entry["status"] < 300:
            counts[entry["upstream"]] = counts.get(entry["upstream"], 0) + 1
    return counts


def _is_problem(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), (
        answer.content
    )
    assert answer.text("code") == code
    assert answer.text("status") == str(status)
    assert answer.text("request_id") == answer.headers["x-request-id"]
