"""The service on a cluster of three nodes, by its URL: its keys lie on one of them, which may change."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from image2model.client.events import EventParser
from image2model.domain import Counts
from image2model.errors import ConfigurationError
from image2model.store.connection import StoreOutage, command, connect
from image2model.store.identity import negotiate
from image2model.store.keys import TAG, key
from image2model.store.naming import ROOT
from tests.support.cluster_nodes import ClusterNodes, cluster_nodes
from tests.support.fleet import Fleet, at_fal, fleet_on
from tests.support.keys import keys_without_ttl
from tests.support.ports import free_port
from tests.support.served_api import Service, batch
from tests.support.servers import Address


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[ClusterNodes]:
    """Three primaries."""
    with cluster_nodes(tmp_path) as found:
        yield found


async def _service(fleet: Fleet, folder: Path) -> Service:
    port = free_port("127.0.0.1")
    await fleet.start_api(port)
    return Service(Address("127.0.0.1", port), folder / "files")


@pytest.mark.long
async def test_batch_is_made_and_all_of_it_lies_on_one_node(nodes: ClusterNodes, tmp_path: Path) -> None:
    async with fleet_on(nodes.url, tmp_path) as fleet:
        service = await _service(fleet, tmp_path)
        fleet.start_worker()
        answer = await asyncio.to_thread(service.upload, batch(3))
        assert answer.status == 202, answer.body
        job = await fleet.until_finished(answer.text("job_id"))
        assert job.counts == Counts(succeeded=3)
        assert len(fleet.submissions_of(job)) == 3
        stream = await asyncio.to_thread(service.get, f"status/stream/{job.job_id}", last_event_id="0")
        assert [*EventParser().feed(stream.content)][-1].event == "complete"
        names = [name.decode() async for name in fleet.redis.scan_iter(count=1000)]
        assert [name for name in names if not name.startswith(TAG)] == []
        assert [nodes.ask(port, "DBSIZE") for port in nodes.others] == [0, 0]
        assert await keys_without_ttl(fleet.redis) == []


@pytest.mark.long
async def test_keys_move_to_another_node_while_pictures_are_made(nodes: ClusterNodes, tmp_path: Path) -> None:
    async with fleet_on(nodes.url, tmp_path) as fleet:
        fleet.emulator.settings(latency=1.5)
        service = await _service(fleet, tmp_path)
        fleet.start_worker()
        answer = await asyncio.to_thread(service.upload, batch(6))
        job_id = answer.text("job_id")
        await fleet.until(job_id, lambda job: at_fal(job) > 0)
        stream = asyncio.create_task(
            asyncio.to_thread(service.get, f"status/stream/{job_id}", last_event_id="0")
        )
        await asyncio.to_thread(nodes.move_home, nodes.others[0])
        job = await fleet.until_finished(job_id)
        assert job.counts == Counts(succeeded=6)
        assert len(fleet.submissions_of(job)) == 6
        events = [*EventParser().feed((await stream).content)]
        assert [event.event for event in events].count("complete") == 1
        assert events[-1].id == str(job.version)


@pytest.mark.long
async def test_primary_dies_and_its_replica_goes_on(tmp_path: Path) -> None:
    with cluster_nodes(tmp_path, replicas=True) as nodes:
        async with fleet_on(nodes.url, tmp_path) as fleet:
            fleet.emulator.settings(latency=3)
            fleet.start_worker(I2M_MAX_CONCURRENT="8")
            job_id = await fleet.submit(12)
            await fleet.until(job_id, lambda job: at_fal(job) == 8)
            await asyncio.to_thread(nodes.fail_over)
            job = await fleet.until_finished(job_id, timeout=60)
            assert job.counts == Counts(succeeded=12)
            assert len(fleet.submissions_of(job)) == 12


async def test_node_of_the_url_that_is_away_is_passed_over(nodes: ClusterNodes) -> None:
    nodes.kill(nodes.named[0])
    assert nodes.home == nodes.named[1]
    async with connect(nodes.url) as redis:
        assert (await negotiate(redis)).done


async def test_one_server_s_url_of_a_cluster_s_node_is_refused_with_advice(nodes: ClusterNodes) -> None:
    async with connect(f"redis://127.0.0.1:{nodes.others[0]}") as redis:
        with pytest.raises(StoreOutage, match=r"redis\+cluster://"):
            await command(redis, "HGETALL", key("store"))


@pytest.mark.long
async def test_data_of_an_earlier_release_is_not_taken_for_an_empty_store(nodes: ClusterNodes) -> None:
    nodes.ask(nodes.root, "HSET", ROOT, "version", 5)
    async with connect(nodes.url) as redis:
        with pytest.raises(StoreOutage, match="upgrade --tags"):
            await negotiate(redis)
    assert [nodes.ask(port, "DBSIZE") for port in (nodes.root, nodes.home)] == [1, 0]


def test_cluster_has_no_databases() -> None:
    with pytest.raises(ConfigurationError, match="no databases"):
        connect("redis+cluster://127.0.0.1:7000/1")
