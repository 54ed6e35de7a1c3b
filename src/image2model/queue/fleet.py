"""The fleet as a whole: which workers are alive, how long the queues are, what is paused.

Each worker sends a heartbeat; health, metrics and the admin's views read. Nothing here moves a job.
"""

from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.http.documents import Moment, moment
from image2model.queue.circuits import EndpointState
from image2model.store.data_versions import LATEST
from image2model.store.keys import Queue
from image2model.store.scripts import Script

HEARTBEAT_SECONDS: Final = 5.0
"""How often a worker sends a heartbeat."""
HEARTBEAT_TTL_SECONDS: Final = 15.0
"""How long a worker counts as alive after its last heartbeat."""

_HEARTBEAT: Final = Script("queue/heartbeat")
_FLEET: Final = Script("queue/read_fleet")
_SAMPLE: Final = 32
"""In how many of the next tasks of a queue the oldest is looked for."""


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker reports about itself. `started_at` is ms since the epoch, `slots` its concurrency."""

    worker_id: str
    host: str
    pid: int
    queues: tuple[str, ...]
    running: int
    slots: int
    started_at: int


class Beat(msgspec.Struct, frozen=True, array_like=True):
    """What a heartbeat finds: the ids of workers that have vanished without signing off since the last one of
    anybody, and how many workers there are."""

    lost: list[str]
    workers: int


class WorkerState(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that is alive, with the time of its last heartbeat in ms."""

    heartbeat_at: int
    heartbeat: Heartbeat


class QueueState(msgspec.Struct, frozen=True, array_like=True):
    """One queue. `oldest_ms` is the age of the oldest among the next tasks; `paused` holds the reasons."""

    queue: str
    waiting: int
    oldest_ms: int
    paused: tuple[str, ...]


class FleetState(msgspec.Struct, frozen=True, kw_only=True):
    """The fleet as of one moment, `at` ms. `permits` counts the images at FAL, `endpoints` are those whose
    circuit is open, by model, and `workers_lost` counts the workers that vanished without signing off."""

    at: int
    permits: int
    queues: tuple[QueueState, ...]
    workers: tuple[WorkerState, ...]
    workers_lost: int = 0
    endpoints: tuple[EndpointState, ...] = ()


_beat = msgspec.msgpack.Decoder(Beat)
_fleet = msgspec.msgpack.Decoder(
    tuple[
        int, int, list[tuple[str, int, int, list[str]]], list[tuple[str, list[str]]], list[EndpointState], int
    ]
)


async def heartbeat(redis: Redis, state: Heartbeat) -> Beat:
    """Store the heartbeat, and look at the fleet.

    Called every `HEARTBEAT_SECONDS`. The field `reads` distinguishes it from one of 8adfc9c (see `identity`).
    """
    fields = ["host", state.host, "pid", state.pid, "queues", ",".join(state.queues)]
    fields += [
        "running",
        state.running,
        "slots",
        state.slots,
        "started_at",
        state.started_at,
        "reads",
        LATEST,
    ]
    return _beat.decode(
        await _HEARTBEAT.packed(redis, state.worker_id, int(HEARTBEAT_TTL_SECONDS * 1000), fields)
    )


async def leave(redis: Redis, worker_id: str) -> None:
    """Sign off a worker that ends on purpose: it leaves the list at once."""
    await _HEARTBEAT.packed(redis, worker_id, 0, [])


async def read(redis: Redis) -> FleetState:
    """The whole fleet, in one round trip."""
    packed = await _FLEET.packed(redis, [queue.value for queue in Queue], _SAMPLE)
    at, permits, queues, workers, endpoints, lost = _fleet.decode(packed)
    return FleetState(
        at=at,
        permits=permits,
        queues=tuple(
            QueueState(name, waiting, oldest, tuple(paused)) for name, waiting, oldest, paused in queues
        ),
        workers=tuple(_worker(worker_id, row) for worker_id, row in workers),
        workers_lost=lost,
        endpoints=tuple(sorted(endpoints, key=lambda one: one.model)),
    )


def _worker(worker_id: str, row: list[str]) -> WorkerState:
    heartbeat_at, host, pid, queues, running, slots, started_at = row
    return WorkerState(
        heartbeat_at=int(heartbeat_at),
        heartbeat=Heartbeat(
            worker_id=worker_id,
            host=host,
            pid=int(pid),
            queues=tuple(filter(None, queues.split(","))),
            running=int(running),
            slots=int(slots),
            started_at=int(started_at),
        ),
    )


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
    """All workers that are alive."""

    workers: tuple[WorkerDocument, ...]


async def list_workers(redis: Redis) -> WorkerList:
    """The workers that are alive, the longest-running first. Raises StoreOutage."""
    state = await read(redis)
    found = sorted(state.workers, key=lambda worker: worker.heartbeat.started_at)
    return WorkerList(tuple(map(_document, found)))


def _document(worker: WorkerState) -> WorkerDocument:
    heartbeat = worker.heartbeat
    return WorkerDocument(
        worker_id=heartbeat.worker_id,
        host=heartbeat.host,
        pid=heartbeat.pid,
        queues=heartbeat.queues,
        running=heartbeat.running,
        slots=heartbeat.slots,
        started_at=moment(heartbeat.started_at) or "",
        last_beat_at=moment(worker.heartbeat_at) or "",
    )
