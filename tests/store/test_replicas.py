"""With a replica, what money hangs on counts as written once the replica has it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from image2model.generation import steps
from image2model.store.connection import connect
from image2model.store.durability import NotCopied, Replicas
from tests.support.jobs import create_job, pick, take_permit
from tests.support.ports import free_ports
from tests.support.replication import Replicated, replicated


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Replicated]:
    one, other, sentinel = free_ports(3)
    with replicated(tmp_path, (one, other, sentinel)) as found:
        yield found


@pytest.mark.long
async def test_mark_is_refused_while_the_replica_hangs(pair: Replicated) -> None:
    pair.start()
    async with connect(pair.primary_url) as redis:
        await create_job(redis, 1)
        (claim,) = await pick(redis, 1)
        await take_permit(redis, claim)
        replicas = Replicas(redis)
        assert await steps.mark_posting(replicas, claim.task_id, claim.token)
        pair.stop_replica()
        with pytest.raises(NotCopied):
            await steps.mark_posting(replicas, claim.task_id, claim.token)
        pair.stop_replica(go_on=True)
        assert await steps.mark_posting(replicas, claim.task_id, claim.token)


async def test_replica_that_keeps_nothing_on_disk_confirms_from_its_memory(pair: Replicated) -> None:
    pair.start("--appendonly", "no")
    async with connect(pair.primary_url) as redis:
        await create_job(redis, 1)
        (claim,) = await pick(redis, 1)
        await take_permit(redis, claim)
        replicas = Replicas(redis)
        with pytest.raises(NotCopied):
            await steps.mark_posting(replicas, claim.task_id, claim.token)
        assert await steps.mark_posting(replicas, claim.task_id, claim.token)
