"""One job's events. Who calls it: the relay."""

import asyncio

from redis.asyncio import Redis

from image2model.api.events import frame
from image2model.api.events.frame import Frame
from image2model.api.events.topic import PAGE, Mark, Opening, Page, Resume, Topic
from image2model.errors import NotFound
from image2model.store import events, heads, job_reads
from image2model.store.events import Event


class JobTopic(Topic):
    """Positions are the job's versions."""

    def __init__(self, redis: Redis, owner: str, gate: asyncio.Semaphore, job_id: str) -> None:
        super().__init__(redis, owner, gate, job_id)
        self.job_id = job_id

    async def _open(self, resume: Resume) -> Opening | None:
        """See `Topic.open`. Nothing follows in a job that has ended and was read to its end."""
        if not resume.given:
            return await self._snapshot(reset=False)
        head = await job_reads.read_job(self.redis, self.job_id, images=False)
        if resume.last_id == head.version and head.job.finished_at is not None:
            return None
        first, _ = await events.reach_of_job(self.redis, self.job_id)
        if resume.last_id is None or not resume.within(first, head.version):
            return await self._snapshot(reset=True)
        return Opening(resume.last_id)

    async def _snapshot(self, *, reset: bool) -> Opening:
        snapshot = await job_reads.read_job(self.redis, self.job_id)
        return Opening(snapshot.version, frame.job_opening(snapshot, reset=reset))

    async def _latest(self) -> tuple[int, Mark | None]:
        head = await heads.read(self.redis, self.job_id)
        if head is None:
            raise NotFound("There is no such job.")
        return head.state.version, Mark(self.job_id, head.state.updated_at)

    async def mark_at(self, position: int) -> Mark | None:
        """See `Topic.mark_at`."""
        found = await events.page_of_job(self.redis, self.job_id, position - 1, 1)
        if not found or found[0].version != position:
            return None
        return Mark(self.job_id, found[0].body.at)

    async def _page(self, after: int) -> Page:
        found = await events.page_of_job(self.redis, self.job_id, after, PAGE)
        if not found:
            return Page([])
        return Page([frame.of_job(event) for event in found], found[0].version, found[-1].version)

    def _frame(self, position: int, event: Event) -> Frame:  # noqa: ARG002 - the version is in the event
        return frame.of_job(event)
