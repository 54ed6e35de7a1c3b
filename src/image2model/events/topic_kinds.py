"""The two kinds of topic: the events of one job, and the events of all jobs of one owner.

They differ in what a position is, and in how a stream begins and ends; `Topic` does the rest.
"""

import asyncio

from redis.asyncio import Redis

from image2model.access import lookup
from image2model.errors import NotFound
from image2model.events import frames, history
from image2model.events.frames import Frame
from image2model.events.history import Event
from image2model.events.topic import PAGE, Mark, Opening, Page, Resume, Topic
from image2model.http.documents import JobHead, job_head
from image2model.store import job_reads


class JobTopic(Topic):
    """One job's events. Positions are the job's versions."""

    def __init__(self, redis: Redis, owner: str, gate: asyncio.Semaphore, job_id: str) -> None:
        super().__init__(redis, owner, gate, job_id)
        self.job_id = job_id

    async def _open(self, resume: Resume) -> Opening | None:
        """See `Topic.open`. Nothing follows in a finished job that was read to its end."""
        if not resume.given:
            return await self._snapshot(reset=False)
        job = await job_reads.read_job(self.redis, self.job_id, images=False)
        if resume.last_id == job.version and job.job.finished_at is not None:
            return None
        first, _ = await history.bounds_of_job(self.redis, self.job_id)
        if resume.last_id is None or not resume.within(first, job.version):
            return await self._snapshot(reset=True)
        return Opening(resume.last_id)

    async def _snapshot(self, *, reset: bool) -> Opening:
        snapshot = await job_reads.read_job(self.redis, self.job_id)
        return Opening(snapshot.version, frames.job_opening(snapshot, reset=reset))

    async def _latest(self) -> tuple[int, Mark | None]:
        found = await lookup.read(self.redis, self.job_id)
        if found is None:
            raise NotFound("There is no such job.")
        return found.state.version, Mark(self.job_id, found.state.updated_at)

    async def mark_at(self, position: int) -> Mark | None:
        """See `Topic.mark_at`."""
        found = await history.page_of_job(self.redis, self.job_id, position - 1, 1)
        if not found or found[0].version != position:
            return None
        return Mark(self.job_id, found[0].body.at)

    async def _page(self, after: int) -> Page:
        found = await history.page_of_job(self.redis, self.job_id, after, PAGE)
        if not found:
            return Page([])
        return Page([frames.job_frame(event) for event in found], found[0].version, found[-1].version)

    def _frame(self, position: int, event: Event) -> Frame:  # noqa: ARG002 - the version is in the event
        return frames.job_frame(event)


class OwnerTopic(Topic):
    """The events of all jobs of one owner. Positions are the owner's sequence numbers."""

    def __init__(self, redis: Redis, owner: str, gate: asyncio.Semaphore) -> None:
        super().__init__(redis, owner, gate, owner)

    async def _open(self, resume: Resume) -> Opening | None:
        """See `Topic.open`. The stream never ends, so something may always follow."""
        first, last = await history.bounds_of_owner(self.redis, self.owner)
        if resume.last_id is not None and resume.within(first, last):
            return Opening(resume.last_id)
        # The jobs are read after the position, so they are at least as new: events may repeat, none is lost.
        return Opening(last, (frames.owner_opening(last, await self._unfinished_jobs(), reset=resume.given),))

    async def _unfinished_jobs(self) -> list[JobHead]:
        jobs = []
        for job_id in await job_reads.active_jobs(self.redis, self.owner):
            try:
                snapshot = await job_reads.read_job(self.redis, job_id, images=False)
            except NotFound:
                continue  # deleted since
            if snapshot.job.finished_at is None:
                jobs.append(job_head(snapshot))
        return jobs

    async def _latest(self) -> tuple[int, Mark | None]:
        last = (await history.bounds_of_owner(self.redis, self.owner))[1]
        return last, await self.mark_at(last) if last else None

    async def mark_at(self, position: int) -> Mark | None:
        """See `Topic.mark_at`."""
        found = await history.event_of_owner(self.redis, self.owner, position)
        return Mark(*found) if found else None

    async def _page(self, after: int) -> Page:
        found = await history.of_owner(self.redis, self.owner, after, PAGE)
        if not found:
            return Page([])
        live = [frames.owner_frame(seq, event) for seq, event in found if event is not None]
        return Page(live, found[0][0], found[-1][0])

    def _frame(self, position: int, event: Event) -> Frame:
        return frames.owner_frame(position, event)
