"""The workers that live, as operators read them. Who calls it: the admin's routes."""

import msgspec
from redis.asyncio import Redis

from image2model.service.documents import Moment, moment
from image2model.store import fleet
from image2model.store.fleet import WorkerState


class WorkerDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One worker. `running` counts its tasks, `slots` is how many images it starts at once."""

    worker_id: str
    host: str
    pid: int
    queues: tuple[str, ...]
    running: int
    slots: int
    started_at: Moment
    last_beat_at: Moment


class WorkerList(msgspec.Struct, frozen=True):
    """All that have shown life lately."""

    workers: tuple[WorkerDocument, ...]


async def listing(redis: Redis) -> WorkerList:
    """The workers that live, the longest-running first. Raises StoreOutage."""
    state = await fleet.read(redis)
    found = sorted(state.workers, key=lambda worker: worker.beat.started_at)
    return WorkerList(tuple(map(_document, found)))


def _document(worker: WorkerState) -> WorkerDocument:
    beat = worker.beat
    return WorkerDocument(
        worker_id=beat.worker_id,
        host=beat.host,
        pid=beat.pid,
        queues=beat.queues,
        running=beat.running,
        slots=beat.slots,
        started_at=moment(beat.started_at) or "",
        last_beat_at=moment(worker.beat_at) or "",
    )
