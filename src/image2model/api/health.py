"""`/health/live` and `/health/ready`. Who calls it: the router, for orchestrators and people.

Only what keeps this replica from serving (the store, the disk) makes it unready; a fleet without workers
or a FAL that is away is degraded, because taking every replica out of service would mend neither.
"""

import asyncio
from typing import Final, Literal

import msgspec
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from image2model.api.answers import json_answer
from image2model.api.check import Check
from image2model.api.state import ApiState, state_of
from image2model.errors import DiskFull
from image2model.storage.errors import StorageError
from image2model.storage.objects import LEAST_FREE, ObjectStorage
from image2model.store import fleet
from image2model.store.endpoints import EndpointState, Fault
from image2model.store.fleet import FleetState
from image2model.store.keys import Queue

_DEADLINE: Final = 2.0
_PAUSED: Final = {
    "account": "FAL refuses the account (key, or balance): pictures wait, and go on once it is mended",
    "fal": "FAL is down: pictures wait, and go on once it answers",
}


class Readiness(msgspec.Struct, frozen=True):
    """The whole answer."""

    status: Literal["ready", "degraded", "unready"]
    checks: dict[str, Check]


class Liveness(msgspec.Struct, frozen=True):
    """The process runs."""

    status: Literal["live"] = "live"


async def live(_request: Request) -> Response:
    """200 while the event loop turns."""
    return json_answer(Liveness())


async def ready(request: Request) -> Response:
    """200 `ready` or `degraded`, 503 `unready`."""
    found = await readiness(state_of(request))
    return json_answer(found, 503 if found.status == "unready" else 200)


async def readiness(state: ApiState) -> Readiness:
    """Run all checks, side by side."""
    (redis, workers, paused), disk, fal = await asyncio.gather(
        _fleet(state), _disk_space(state.storage), state.fal_probe.check()
    )
    if paused:
        fal = Check(False, paused)
    checks = {"redis": redis, "disk_space": disk, "fal_api": fal, "workers": workers}
    if not (redis.ok and disk.ok):
        return Readiness("unready", checks)
    return Readiness("ready" if all(check.ok for check in checks.values()) else "degraded", checks)


async def _fleet(state: ApiState) -> tuple[Check, Check, str]:
    """The store, the workers, and why FAL is at fault, if it is."""
    try:
        async with asyncio.timeout(_DEADLINE):
            found = await fleet.read(state.redis)
    except (RedisError, TimeoutError) as error:
        reason = str(error) or "no reply in time"
        return Check(False, f"the store does not answer: {reason}"), Check(False, "not known"), ""
    alive = len(found.workers)
    workers = f"{alive} running" if alive else "no worker runs: pictures wait until one does"
    return Check(True, "the store answers"), Check(alive > 0, workers), fal_trouble(found)


def fal_trouble(found: FleetState) -> str:
    """Why pictures wait for FAL: a pause of all generations first, then endpoints that have some waiting."""
    paused = next((queue.paused for queue in found.queues if queue.queue == Queue.GENERATION), ())
    if reason := next((_PAUSED[name] for name in paused if name in _PAUSED), ""):
        return reason
    return " ".join(_refused(one) for one in found.endpoints if one.waiting)


def _refused(endpoint: EndpointState) -> str:
    does = "refuses" if endpoint.why is Fault.REFUSED else "fails at"
    words = endpoint.words.rstrip(".")
    return f"FAL {does} {endpoint.model}: {words}. {endpoint.waiting} of its pictures wait; all others go on."


async def _disk_space(storage: ObjectStorage) -> Check:
    try:
        async with asyncio.timeout(_DEADLINE):
            free = await storage.free_bytes()
    except (StorageError, DiskFull, TimeoutError) as error:
        return Check(False, f"the storage cannot be read: {error}")
    if free is None:
        return Check(True, "the storage is on no disk of ours")
    return Check(free >= LEAST_FREE, f"{free >> 20} MiB free")
