"""`Prefer: wait=N`: the answer of a call that starts or changes jobs comes when they have ended.

A handler calls `until_ended` after everything that it holds for its request (pictures, the idempotency key)
was given back. The preference changes when the answer comes and how new its document is, never what happens
to the jobs.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Final

import msgspec
from starlette.requests import Request

from image2model.access import lookup
from image2model.access.principal import Principal
from image2model.access.state import state_of
from image2model.errors import Problem
from image2model.events import waiting
from image2model.http.bodies import WAITED
from image2model.http.preferences import wait_of
from image2model.jobs.state import JobsState
from image2model.store.connection import StoreOutage
from image2model.store.records import JobSnapshot

_APPLIED: Final = "Preference-Applied"


class Waited(msgspec.Struct, frozen=True):
    """The jobs as they are now, and the headers that say so; the jobs as given where nobody waits."""

    jobs: tuple[JobSnapshot, ...]
    headers: Mapping[str, str]


async def until_ended(request: Request, principal: Principal, jobs: Sequence[JobSnapshot]) -> Waited:
    """Wait for the end of all jobs, if the request prefers to. Raises ClientDisconnect.

    It may return earlier, with the jobs as they are: see `events.waiting`.
    """
    seconds = wait_of(request.headers)
    if seconds is None:
        return Waited(tuple(jobs), {})
    state = state_of(request, JobsState)
    began = perf_counter()
    try:
        may_see = await waiting.until_ended(
            state.relay,
            principal.owner,
            [job.job_id for job in jobs],
            seconds=seconds,
            receive=request.receive,
            watch=partial(state.gate.watch_stream, principal),
        )
    finally:
        request.scope[WAITED] = perf_counter() - began
    now = tuple([await _now(state, job) for job in jobs]) if may_see else tuple(jobs)
    return Waited(now, {_APPLIED: f"wait={seconds}"})


async def _now(state: JobsState, job: JobSnapshot) -> JobSnapshot:
    """The job as it is, or as it was where the store does not tell: the request was accepted all the same."""
    try:
        return await lookup.snapshot(state.redis, job.owner, job.job_id)
    except (Problem, StoreOutage):
        return job
