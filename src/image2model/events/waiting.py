"""A request that waits for the end of jobs: a reader of their topics that sends nothing.

It costs what an event stream costs: the notification of the end wakes it, and it never asks the store again
and again. One timer bounds the wait, and the end of the last job brings that timer forward, so the request's
own task is all that waits.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from image2model.errors import Problem
from image2model.events.frames import Frame
from image2model.events.relay import EventRelay
from image2model.events.topic import Opening
from image2model.store import job_reads
from image2model.store.connection import StoreOutage
from image2model.telemetry.metrics import WAITING_REQUESTS

Watch = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""While its block runs, calls what it is given once the caller may no longer see the jobs."""


async def until_ended(
    relay: EventRelay,
    owner: str,
    job_ids: Sequence[str],
    *,
    seconds: float,
    receive: Receive,
    watch: Watch,
) -> bool:
    """Return when all jobs have ended, after `seconds`, or when nothing more can be learned.

    That is so when the process stops, when a job is deleted, or when the store does not answer at the
    beginning; later the wait outlasts an outage. False: the caller may no longer see the jobs. Raises
    ClientDisconnect when the client has left, which changes nothing for the jobs.
    """
    gone = False
    with WAITING_REQUESTS.track_inprogress():
        try:
            async with asyncio.timeout(seconds) as limit:
                end = _LastEnd(len(job_ids), limit)
                with ExitStack() as stack:
                    stack.enter_context(watch(end.revoke))
                    for job_id in job_ids:
                        await _join(stack, relay, owner, job_id, JobEnd(end.one_more))
                    # redis-py can swallow the timeout's cancellation, which comes only once
                    while not (gone or limit.expired()):
                        gone = (await receive())["type"] == "http.disconnect"
        except TimeoutError:
            return not end.revoked
    if gone:
        raise ClientDisconnect
    return not end.revoked


async def _join(stack: ExitStack, relay: EventRelay, owner: str, job_id: str, job_end: "JobEnd") -> None:
    """Let the reader follow the job until the stack ends; it ends at once where that is impossible."""
    if relay.closing:
        job_end.end()
        return
    try:
        topic = await relay.join_job(job_id, owner)
        stack.callback(relay.leave, topic)
        job_end.position = topic.position
        topic.admit(job_end)
        stack.callback(topic.leave, job_end)
        if topic.ended:
            job_end.end()
            return
        job = await job_reads.read_job(topic.redis, job_id, images=False)
    except (Problem, StoreOutage):
        job_end.end()
    else:
        job_end.begin(job.version, finished=job.job.finished_at is not None)


class JobEnd:
    """A topic's reader that calls `on_end` once, when the job has ended. `position` is the last event seen.

    A `complete` counts only when it is later than the state of the job at the beginning: an earlier one may
    belong to a job that was reopened since.
    """

    __slots__ = ("_completed_at", "_on_end", "_version", "position")

    def __init__(self, on_end: Callable[[], None]) -> None:
        self.position = 0
        self._on_end: Callable[[], None] | None = on_end
        self._version: int | None = None
        self._completed_at = 0

    def begin(self, version: int, *, finished: bool) -> None:
        """The job's state in the store, read after the topic has admitted this reader."""
        self._version = version
        if finished or self._completed_at > version:
            self.end()

    def offer(self, frame: Frame) -> bool:
        """An event of the job; nothing is sent for it."""
        self.position = max(self.position, frame.position)
        if frame.last:
            self._completed_at = frame.position
            if self._version is not None and frame.position > self._version:
                self.end()
        return False

    def restart(self, opening: Opening) -> None:
        """The store went back to another history, and this is its end."""
        self.position = opening.position
        self._completed_at = 0
        if self._version is not None:
            self.begin(opening.position, finished=bool(opening.frames) and opening.frames[-1].last)

    def wake(self) -> None:
        """Nothing: it reads no history."""

    def end(self) -> None:
        """The job has ended, or nothing more can be learned of it."""
        if self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            on_end()


class _LastEnd:
    """Ends the wait with the last of the jobs. `revoked`: it ended because the caller lost its access."""

    def __init__(self, left: int, limit: asyncio.Timeout) -> None:
        self.revoked = False
        self._left = left
        self._limit = limit

    def one_more(self) -> None:
        self._left -= 1
        if not self._left:
            self._stop()

    def revoke(self) -> None:
        self.revoked = True
        self._stop()

    def _stop(self) -> None:
        if not self._limit.expired():
            self._limit.reschedule(0)
