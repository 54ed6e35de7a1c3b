"""Whether FAL answers, asked at most every 15 s however often health is asked for.

Who calls it: the readiness check. It costs FAL's account nothing and holds no connection between probes.
"""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.access.state import state_of
from image2model.errors import DiskFull
from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.fal.hosts import FalHosts
from image2model.http.bodies import json_response
from image2model.http.write_probe import Check
from image2model.jobs.state import JobsState
from image2model.queue import fleet
from image2model.queue.circuits import EndpointState, Fault
from image2model.queue.fleet import FleetState
from image2model.storage.errors import StorageError
from image2model.storage.objects import MIN_FREE_BYTES, ObjectStorage
from image2model.store.condition import StoreCondition, condition_of, describe
from image2model.store.connection import StoreOutage
from image2model.store.keys import Queue

KEPT_SECONDS: Final = 15.0


class FalProbe:
    """One answer for all who ask. `key` None: nothing is asked, and the answer says so."""

    def __init__(self, key: str | None, hosts: FalHosts) -> None:
        self._key = key
        self._hosts = hosts
        self._asking = asyncio.Lock()
        self._answer: Check | None = None
        self._asked_at = 0.0

    async def check(self) -> Check:
        """The answer, at most `KEPT_SECONDS` old. Never raises FalError."""
        async with self._asking:
            if self._answer is None or monotonic() - self._asked_at > KEPT_SECONDS:
                self._answer = await self._ask()
                self._asked_at = monotonic()
            return self._answer

    async def _ask(self) -> Check:
        if self._key is None:
            return Check(ok=False, detail="FAL_KEY is not set")
        # The FAL client's HTTP takes a third of a second to import, which no start should wait for.
        from image2model.fal.platform import probe
        from image2model.fal.session import FalSession

        session = FalSession(self._key, self._hosts, max_connections=1)
        await session.open()
        try:
            found = await probe(session, DEFAULT_MODEL)
        finally:
            await session.close()
        return Check(found.ok, found.detail)


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


@dataclass(frozen=True, kw_only=True)
class HealthState(JobsState):
    """Shared by all requests of one process."""

    fal_probe: FalProbe


async def live(_request: Request) -> Response:
    """200 while the event loop turns."""
    return json_response(Liveness())


async def ready(request: Request) -> Response:
    """200 `ready` or `degraded`, 503 `unready`."""
    found = await readiness(state_of(request, HealthState))
    return json_response(found, 503 if found.status == "unready" else 200)


async def readiness(state: HealthState) -> Readiness:
    """Run all checks, side by side."""
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
    return Readiness("ready" if all(check.ok for check in checks.values()) else "degraded", checks)


async def _fleet(state: HealthState) -> FleetState | StoreCondition:
    """The fleet, or what the store is that cannot be read."""
    try:
        async with asyncio.timeout(_DEADLINE):
            return await fleet.read(state.redis)
    except (StoreOutage, TimeoutError) as error:
        state.write_probe.forget()
        return condition_of(error) or StoreCondition.REFUSED


def _store(found: StoreCondition) -> Check:
    return Check(found is StoreCondition.WRITABLE, describe(found))


def _workers(found: FleetState | StoreCondition) -> Check:
    if isinstance(found, StoreCondition):
        return Check(False, "not known")
    alive = len(found.workers)
    return Check(alive > 0, f"{alive} running" if alive else "no worker runs: pictures wait until one does")


def _fal(found: FleetState | StoreCondition, probed: Check) -> Check:
    """What makes pictures wait for FAL says more than a probe does."""
    trouble = "" if isinstance(found, StoreCondition) else fal_trouble(found)
    return Check(False, trouble) if trouble else probed


def fal_trouble(found: FleetState) -> str:
    """Why pictures wait for FAL: a pause of all generations first, then endpoints that have some waiting."""
    paused = next((queue.paused for queue in found.queues if queue.queue == Queue.GENERATION), ())
    if reason := next((_PAUSED[name] for name in paused if name in _PAUSED), ""):
        return reason
    return " ".join(_refused(one) for one in found.endpoints if one.waiting)


def _refused(endpoint: EndpointState) -> str:
    does = "refuses" if endpoint.why is Fault.REFUSED else "fails at"
    words = endpoint.words.rstrip(".")
    return f"FAL {does} {endpoint.model}: {words}. Its pictures wait ({endpoint.waiting}); others go on."


async def _disk_space(storage: ObjectStorage) -> Check:
    try:
        async with asyncio.timeout(_DEADLINE):
            free = await storage.free_bytes()
    except (StorageError, DiskFull, TimeoutError) as error:
        return Check(False, f"the storage cannot be read: {error}")
    if free is None:
        return Check(True, "the storage is on no disk of ours")
    return Check(free >= MIN_FREE_BYTES, f"{free >> 20} MiB free")
