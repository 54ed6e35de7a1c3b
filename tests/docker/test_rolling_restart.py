"""A deploy: the replicas are restarted in turn while clients upload, poll and listen."""

import asyncio
from contextlib import suppress
from itertools import count

import pytest

from tests.docker.conftest import MakeCluster
from tests.support.batches import batch
from tests.support.cluster import Answer, Cluster
from tests.support.sse import job_path, opened
from tests.support.traffic import Client, Traffic

LARGE = 1_500_000
_LISTEN_S = 5.0


@pytest.mark.long
async def test_rolling_restart_fails_no_request(make_cluster: MakeCluster) -> None:
    # six clients share this machine's address, and on a quick one they send more than one address may
    async with make_cluster(
        "--latency", "0.2s", I2M_ADDRESS_RATE="1000r/s", I2M_ADDRESS_BURST="1000"
    ) as cluster:
        clients = Clients(cluster)
        await clients.upload()
        async with Traffic(clients.all_of_them()) as traffic:
            for host in cluster.replicas:
                await cluster.restart(host)
                await traffic.progress()
        assert traffic.failures == [], "\n".join(traffic.failures)
        for job_id in clients.job_ids:
            job = await cluster.fleet.until_finished(job_id)
            assert job.counts.succeeded == 1
        assert len(cluster.fleet.emulator.submissions()) == len(clients.job_ids)


class Clients:
    """What they do in one round. Any answer that is not the expected one is an AssertionError."""

    def __init__(self, cluster: Cluster) -> None:
        self.job_ids: list[str] = []
        self._cluster = cluster
        self._seeds = count()

    def all_of_them(self) -> dict[str, Client]:
        """By name."""
        return {
            "the first uploader": self.upload,
            "the second uploader": self.upload,
            "the uploader of large pictures": self._upload_large,
            "the first reader": self._read,
            "the second reader": self._read,
            "the listener": self._listen,
        }

    async def upload(self, size: int = 0) -> None:
        """One batch of one picture."""
        answer = await self._cluster.upload(batch(seed=next(self._seeds), size=size))
        _expect(answer, 202)
        self.job_ids.append(answer.text("job_id"))

    async def _upload_large(self) -> None:
        await self.upload(LARGE)

    async def _read(self) -> None:
        _expect(await self._cluster.request("GET", f"/status/{self.job_ids[-1]}"), 200)

    async def _listen(self) -> None:
        """A stream may be ended by a restart, in good order; what counts is that it begins.

        Its end may be far: the uploaders may be quicker than the one worker.
        """
        job_id = self.job_ids[-1]
        async with opened(self._cluster.address, job_path(job_id)) as stream:
            if stream.status != 200:
                raise AssertionError(f"stream of {job_id}: {stream.status} {await stream.body()!r}")
            assert await stream.take(1), f"stream of {job_id} had no event"
            with suppress(TimeoutError):
                async with asyncio.timeout(_LISTEN_S):
                    await stream.rest()


def _expect(answer: Answer, status: int) -> None:
    assert answer.status == status, f"{answer.status} {answer.content!r}"
