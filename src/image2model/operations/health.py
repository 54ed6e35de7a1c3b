"""Health: liveness, and readiness with the checks `redis`, `disk_space`, `fal_api` and `workers`.

Readiness is 503 only if this replica cannot serve: the store cannot be read, or the disk is full. A FAL
outage or a fleet without workers is `degraded`. FAL is probed at most every 15 s, without cost and without
keeping a connection.
"""

import asyncio
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.access.state import state_of
from image2model.errors import DiskFull
from image2model.http.bodies import json_response
from image2model.http.write_probe import Check
from image2model.jobs.state import JobsState
from image2model.operations.fal_probe import FalProbe
from image2model.queue import fleet, window
from image2model.queue.circuits import EndpointState, Fault
from image2model.queue.fleet import FleetState
from image2model.queue.window import FalConcurrency
from image2model.storage.errors import StorageError
from image2model.storage.objects import MIN_FREE_BYTES, ObjectStorage
from image2model.store.condition import StoreCondition, condition_of, describe
from image2model.store.connection import StoreOutage
from image2model.store.keys import Queue

_DEADLINE_S: Final = 2.0
_PAUSE_REASONS: Final = {
    "account": "FAL refuses the account: check the key and the balance. Pictures wait until then",
    "fal": "FAL is down. Pictures wait until it answers again",
}


class Readiness(msgspec.Struct, frozen=True):
    """The answer of the readiness check. `fal_concurrency`: how many pictures FAL generates at once; null if
    the store cannot be read."""

    status: Literal["ready", "degraded", "unready"]
    checks: dict[str, Check]
    fal_concurrency: int | None = None


class Liveness(msgspec.Struct, frozen=True):
    """The answer of the liveness check."""

    status: Literal["live"] = "live"


@dataclass(frozen=True, kw_only=True)
class HealthState(JobsState):
    """What the health checks need. Shared by all requests of one process."""

    fal_probe: FalProbe


async def live(_request: Request) -> Response:
    """200 while the event loop runs."""
    return json_response(Liveness())


async def ready(request: Request) -> Response:
    """200 `ready` or `degraded`, 503 `unready`."""
    found = await readiness(state_of(request, HealthState))
    return json_response(found, 503 if found.status == "unready" else 200)


async def readiness(state: HealthState) -> Readiness:
    """Run all checks concurrently."""
    fleet_state, writes, disk, fal = await asyncio.gather(
        _fleet(state), state.write_probe.condition(), _disk_space(state.storage), state.fal_probe.check()
    )
    readable = isinstance(fleet_state, FleetState)
    checks = {
        "redis": _store(fleet_state if isinstance(fleet_state, StoreCondition) else writes),
        "disk_space": disk,
        "fal_api": _fal(fleet_state, fal),
        "workers": _workers(fleet_state),
    }
    if not (readable and disk.ok):
        return Readiness("unready", checks)
    good = all(check.ok for check in checks.values())
    return Readiness("ready" if good else "degraded", checks, await _concurrency(state))


async def _concurrency(state: HealthState) -> int | None:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return (await window.read(state.redis, FalConcurrency.of(state.settings))).limit
    except (StoreOutage, TimeoutError):
        return None


async def _fleet(state: HealthState) -> FleetState | StoreCondition:
    """The fleet's state, or the condition of a store that cannot be read."""
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await fleet.read(state.redis)
    except (StoreOutage, TimeoutError) as error:
        state.write_probe.forget()
        return condition_of(error) or StoreCondition.REFUSED


def _store(found: StoreCondition) -> Check:
    return Check(found is StoreCondition.WRITABLE, describe(found))


def _workers(found: FleetState | StoreCondition) -> Check:
    if isinstance(found, StoreCondition):
        return Check(False, "unknown, because the store cannot be read")
    alive = len(found.workers)
    return Check(
        alive > 0, f"{alive} running" if alive else "no worker is running; start one, pictures wait for it"
    )


def _fal(found: FleetState | StoreCondition, probed: Check) -> Check:
    """The reason why pictures wait for FAL, if any; else the result of the probe."""
    problem = "" if isinstance(found, StoreCondition) else fal_problem(found)
    return Check(False, problem) if problem else probed


def fal_problem(found: FleetState) -> str:
    """Why pictures wait for FAL: a pause of all generations, else the endpoints with waiting pictures."""
    paused = next((queue.paused for queue in found.queues if queue.queue == Queue.GENERATION), ())
    if reason := next((_PAUSE_REASONS[name] for name in paused if name in _PAUSE_REASONS), ""):
        return reason
    return " ".join(_refused(one) for one in found.endpoints if one.waiting)


def _refused(endpoint: EndpointState) -> str:
    verb = "refuses" if endpoint.why is Fault.REFUSED else "fails at"
    message = endpoint.message.rstrip(".")
    return f"FAL {verb} {endpoint.model}: {message}. Its {endpoint.waiting} pictures wait; others go on."


async def _disk_space(storage: ObjectStorage) -> Check:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            free = await storage.free_bytes()
    except (StorageError, DiskFull, TimeoutError) as error:
        return Check(False, f"the storage cannot be read: {error}")
    if free is None:
        return Check(True, "the storage is not on a local disk")
    return Check(free >= MIN_FREE_BYTES, f"{free >> 20} MiB free")
