"""A deploy: the replicas are restarted in turn while clients upload, poll and listen."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

from tests.docker.conftest import MakeCluster
from tests.support.batches import batch
from tests.support.cluster import Answer, Cluster
from tests.support.sse import job_path, opened

LARGE = 1_500_000


async def test_rolling_restart_fails_no_request(make_cluster: MakeCluster) -> None:
    async with make_cluster("--latency", "0.2s") as cluster:
        traffic = Traffic(cluster)
        async with traffic:
            for host in cluster.replicas:
                await cluster.restart(host)
        assert traffic.failures == [], "\n".join(traffic.failures)
        assert len(traffic.job_ids) >= 10
        assert traffic.reads >= 50
        assert traffic.streams >= 3
        for job_id in traffic.job_ids:
            job = await cluster.fleet.until_finished(job_id)
            assert job.counts.succeeded == 1
        assert len(cluster.fleet.emulator.submissions()) == len(traffic.job_ids)


class Traffic:
    """Clients that go on until the block ends. A failure is any answer that is not the expected one."""

    def __init__(self, cluster: Cluster) -> None:
        self.job_ids: list[str] = []
        self.failures: list[str] = []
        self.reads = 0
        self.streams = 0
        self._cluster = cluster
        self._seeds = count()
        self._ending = asyncio.Event()
        self._clients: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Traffic":
        await self._upload()
        for client in (self._upload, self._upload, self._upload_large, self._read, self._read, self._listen):
            self._clients.append(asyncio.create_task(self._go_on(client)))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending.set()
        await asyncio.gather(*self._clients)

    async def _go_on(self, client: Callable[[], Awaitable[None]]) -> None:
        while not self._ending.is_set():
            try:
                await client()
            except (OSError, asyncio.IncompleteReadError) as error:
                self.failures.append(f"{client.__name__}: {error!r}")
            await asyncio.sleep(0.05)

    async def _upload(self, size: int = 0) -> None:
        answer = await self._cluster.upload(batch(seed=next(self._seeds), size=size))
        if self._expect(answer, 202):
            self.job_ids.append(answer.text("job_id"))

    async def _upload_large(self) -> None:
        await self._upload(LARGE)

    async def _read(self) -> None:
        self._expect(await self._cluster.request("GET", f"/status/{self.job_ids[-1]}"), 200)
        self.reads += 1

    async def _listen(self) -> None:
        """A stream may be ended by a restart, in good order; what counts is that it begins."""
        job_id = self.job_ids[-1]
        async with opened(self._cluster.address, job_path(job_id)) as stream:
            if stream.status != 200:
                self.failures.append(f"stream of {job_id}: {stream.status} {await stream.body()!r}")
                return
            await stream.rest()
            self.streams += 1

    def _expect(self, answer: Answer, status: int) -> bool:
        if answer.status != status:
            self.failures.append(f"{answer.status} {answer.content!r}")
        return answer.status == status
